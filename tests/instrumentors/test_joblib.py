"""`joblib.Parallel` on its own backends, recorded without a word in the program."""

from __future__ import annotations

from collections.abc import Iterator

import joblib
import joblib.parallel
import pytest
from joblib import Parallel, delayed
from provtel import task, testing, workflow
from provtel.instrumentors.joblib import JoblibInstrumentor
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from tests.instrumentation.programs import Stage

PROGRAM = """
import sys

from joblib import Parallel, delayed

from provtel import task, workflow
from provtel.instrumentors.concurrent_futures import ConcurrentFuturesInstrumentor
from provtel.instrumentors.joblib import JoblibInstrumentor
from provtel.instrumentors.multiprocessing import MultiprocessingInstrumentor


def inner(x):
    return x + 1


def outer(x, scale=10):
    return sum(Parallel(n_jobs=2, backend="threading")(delayed(inner)(i) for i in range(2))) + scale * x


@task(outputs="square")
def square(x):
    return x * x


def fail(x):
    raise LookupError(x)


def main():
    for instrumentor in (JoblibInstrumentor, ConcurrentFuturesInstrumentor, MultiprocessingInstrumentor):
        instrumentor().instrument()  # joblib's own way goes through the others, and adds nothing
    with workflow("top"):
        with Parallel(n_jobs=2, backend=sys.argv[1]) as parallel:
            print(parallel([delayed(outer)(x) for x in range(4)]), parallel(delayed(square)(x) for x in range(3)))
            try:
                parallel(delayed(fail)(x) for x in ["no"])
            except LookupError as error:
                print(repr(error))


if __name__ == "__main__":
    main()
"""


@pytest.fixture
def instrumented() -> Iterator[None]:
    """Record joblib for one test."""
    JoblibInstrumentor().instrument()
    yield
    JoblibInstrumentor().uninstrument()


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing", "sequential"])
def test_backends(stage: Stage, backend: str) -> None:
    """Each call is a task of who called `Parallel`, nested ones and decorated ones too, on every backend."""
    outcome = stage.run(PROGRAM, backend, quiet=False)  # some Pythons warn of fork themselves
    top, *records = stage.records()
    outers = {record.id: record for record in records if record.name == "outer"}

    assert outcome.stdout == "[3, 13, 23, 33] [0, 1, 4]\nLookupError('no')\n"
    assert "provtel:" not in outcome.stderr
    assert {record.trace_id for record in records} == {top.trace_id}
    assert [record.parent_id for record in records if record.name != "inner"] == [top.id] * 8
    assert sorted(outers[record.parent_id or ""].used["x"] for record in records if record.name == "inner") == [
        *(0, 0, 1, 1),
        *(2, 2, 3, 3),
    ]
    assert sorted(record.used["x"] for record in outers.values()) == [0, 1, 2, 3]
    assert {record.used["scale"] for record in outers.values()} == {10}
    assert [record.status.value for record in records if record.name == "fail"] == ["error"]
    assert all(record.telemetry["queue.wait"] >= 0 for record in records)
    assert any(record.pid != top.pid for record in records) == (backend in {"loky", "multiprocessing"})


@pytest.mark.usefixtures("instrumented")
def test_generator_of_results() -> None:
    """Calls that are dispatched by other threads while results are taken belong to who called `Parallel`."""
    with testing.capture() as captured, workflow("top") as top:
        results = Parallel(n_jobs=2, backend="threading", return_as="generator", pre_dispatch=2)(
            delayed(abs)(-x) for x in range(8)
        )
        with task("takes"):
            assert [*results] == [0, 1, 2, 3, 4, 5, 6, 7]

    assert [record.parent_id for record in captured.named("abs")] == [top.id] * 8


@pytest.mark.usefixtures("instrumented")
def test_scikit_learn() -> None:
    """Calls of scikit-learn, which wraps functions once more, bear the names and inputs of what it runs."""
    data, target = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=1000)
    plain = cross_val_score(model, data, target, cv=3)
    with testing.capture() as captured, workflow("top") as top:
        recorded = cross_val_score(model, data, target, cv=3)

    assert [*recorded] == [*plain]
    found = captured.named("_fit_and_score")
    assert [record.parent_id for record in found] == [top.id] * 3
    assert all("estimator" in record.used for record in found)


@pytest.mark.usefixtures("instrumented")
def test_foreign_backend_is_left_alone() -> None:
    """What goes to somebody else's backend, perhaps on other machines, goes there as it is."""

    class Foreign(joblib.parallel.SequentialBackend):  # type: ignore[misc]  # joblib has no types
        """A backend of somebody else."""

    def own(x: int) -> int:
        return x

    parallel = Parallel()
    parallel._backend = Foreign()
    with testing.capture() as captured:
        assert parallel([delayed(own)(1)]) == [1]

    assert captured.records == []


@pytest.mark.usefixtures("instrumented")
def test_what_is_no_call_fails_as_before() -> None:
    """Joblib complains of what it cannot take as it does without the instrumentor."""
    with pytest.raises(TypeError):
        Parallel()(3)
    with pytest.raises((TypeError, ValueError)):
        Parallel()([3])


def test_uninstrument_restores_everything() -> None:
    """Afterwards the function is the very object that was there before."""
    before = vars(joblib.Parallel)["__call__"]
    JoblibInstrumentor().instrument()
    assert vars(joblib.Parallel)["__call__"] is not before
    JoblibInstrumentor().uninstrument()

    assert vars(joblib.Parallel)["__call__"] is before
