"""What holds for every instrumentor: it waits for its library, and is found and switched off by name."""

from __future__ import annotations

import importlib.metadata
import logging

import pytest
from opentelemetry.instrumentation.dependencies import DependencyConflictError
from provtel.instrumentors.base import Instrumentor
from provtel.instrumentors.joblib import JoblibInstrumentor

from tests.instrumentation.programs import Stage

GROUP = "opentelemetry_instrumentor"
OURS = {
    entry.name: entry
    for entry in importlib.metadata.entry_points(group=GROUP)
    if entry.value.startswith("provtel.instrumentors.")
}


def test_all_are_registered() -> None:
    """Each library has one, under a name that no instrumentor of OpenTelemetry's own has."""
    assert set(OURS) == {
        "concurrent_futures",
        "joblib",
        "mpi4py",
        "multiprocessing",
        "provtel_asyncio",
        "provtel_logging",
        "provtel_subprocess",
        "provtel_threading",
    }
    assert all(len(importlib.metadata.entry_points(group=GROUP, name=name)) == 1 for name in OURS)
    assert all(issubclass(entry.load(), Instrumentor) for entry in OURS.values())


def test_no_library_is_imported_early(stage: Stage) -> None:
    """With all of them active nothing of the libraries is loaded, and what is imported then is changed."""
    stage.run(
        f"""
        import sys
        from importlib import import_module
        import opentelemetry.instrumentation.instrumentor  # which loads asyncio itself
        libraries = [
            "asyncio", "concurrent.futures.process", "concurrent.futures.thread", "joblib", "mpi4py", "multiprocessing",
        ]
        loaded = {{name for name in libraries if name in sys.modules}}
        for value in {sorted(entry.value for entry in OURS.values())}:
            module, _, name = value.partition(":")
            getattr(import_module(module), name)().instrument(skip_dep_check=True)
        assert not [name for name in libraries if name in sys.modules and name not in loaded]

        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(1) as pool:
            pool.submit(max, 1, 2).result()
        """
    )

    assert [record.name for record in stage.records()] == ["max"]


def test_uninstrumented_before_the_import(stage: Stage) -> None:
    """A library that is imported when its instrumentor was switched off is left alone, until it is switched on."""
    stage.run(
        """
        from provtel.instrumentors.concurrent_futures import ConcurrentFuturesInstrumentor
        ConcurrentFuturesInstrumentor().instrument()
        ConcurrentFuturesInstrumentor().uninstrument()
        from concurrent.futures import ThreadPoolExecutor
        submit = ThreadPoolExecutor.submit
        with ThreadPoolExecutor(1) as pool:
            pool.submit(max, 1, 2).result()
            ConcurrentFuturesInstrumentor().instrument()
            pool.submit(min, 1, 2).result()
        ConcurrentFuturesInstrumentor().uninstrument()
        assert ThreadPoolExecutor.submit is submit
        """
    )

    assert [record.name for record in stage.records()] == ["min"]


@pytest.mark.parametrize("requires", ["joblib >= 999", "no-such-library-at-all"])
def test_unsupported_version(requires: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A library that is missing, or there in a version that is not supported, is a line at debug, and not changed."""
    import joblib

    before = vars(joblib.Parallel)["__call__"]
    monkeypatch.setattr(JoblibInstrumentor, "requires", (requires,))
    caplog.set_level(logging.DEBUG)
    JoblibInstrumentor().instrument()
    JoblibInstrumentor().instrument(skip_dep_check=True)
    assert vars(joblib.Parallel)["__call__"] is before
    JoblibInstrumentor().uninstrument()
    with pytest.raises(DependencyConflictError):
        JoblibInstrumentor().instrument(raise_exception_on_conflict=True)

    lines = [line for line in caplog.records if line.name.startswith("provtel")]
    assert {line.levelno for line in lines} == {logging.DEBUG}
    assert len(lines) == 2


def test_unknown_library(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A library that lacks what would be changed is a line at debug, and left as it is, half changes included."""
    import joblib

    before = vars(joblib.Parallel)["__call__"]
    monkeypatch.setattr(joblib.Parallel, "__call__", before)
    caplog.set_level(logging.DEBUG)
    with monkeypatch.context() as context:
        context.delattr(joblib.parallel, "Parallel")
        JoblibInstrumentor().instrument()
        JoblibInstrumentor().uninstrument()

    assert [line.levelno for line in caplog.records if line.name.startswith("provtel")] == [logging.DEBUG]


def test_switched_off_by_name(stage: Stage) -> None:
    """Those that OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names stay off, and the others are on."""
    stage.environment["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = "concurrent_futures, provtel_threading"
    stage.run(
        """
        from opentelemetry.instrumentation.auto_instrumentation import initialize
        initialize()
        import multiprocessing.pool
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(1) as pool:
            pool.submit(max, 1, 2).result()
        with multiprocessing.pool.ThreadPool(1) as pool:
            pool.apply(min, (1, 2))
        """,
        quiet=False,
    )

    names = {record.name for record in stage.records()}
    assert "min" in names
    assert "max" not in names
