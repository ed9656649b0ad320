"""What is different between two runs: aligned by structure, causes before what they caused."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_model.record import Record
from provtel_query.difference import What, compare

from tests.query.activities import activity, id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.record import PlainRecord

    from tests.query.conftest import StoreOf

OTHER = "bb" * 16
FACTOR = 2.123456789
RATES = (0.1, 0.2, 0.3)


def sweep(trace: str, change: Mapping[int, Mapping[str, Any]] | None = None, seed: int = 0) -> list[PlainRecord]:
    """Return a run of a sweep: load, train at each rate in any order, choose the best; with some records changed."""
    run: dict[str, Any] = {"trace_id": trace, "workflow_id": id_of(1, trace), "workflow_name": "sweep"}
    run["resource"] = {"host.name": "n1", "process.pid": seed, "process.runtime.version": "3.11"}
    plan = {"plan": {"hash": "sha256:aa", "function": "train"}}
    starts = list(range(10, 10 + len(RATES)))
    random.Random(seed).shuffle(starts)  # noqa: S311  # an order
    scores = [rate * FACTOR for rate in RATES]
    steps: list[dict[str, Any]] = [
        {"number": 1, "name": "sweep", "at": (1, 99), "kind": "workflow"},
        {"number": 2, "name": "load", "generated": {"data": "a text that is long enough to be told apart"}},
        *(
            {
                "number": 3 + place,
                "name": "train",
                "at": (start, start + 1),
                "used": {"rate": rate, "data": "a text that is long enough to be told apart"},
                "generated": {"score": score},
                "telemetry": {"cpu.user": 1.0},
                **plan,
            }
            for place, (rate, score, start) in enumerate(zip(RATES, scores, starts, strict=True))
        ),
        {"number": 50, "name": "choose", "used": {"scores": scores}, "generated": {"best": max(scores)}},
    ]
    records = []
    for step in steps:
        whole = {**step, **(change or {}).get(step["number"], {})}
        parent: dict[str, Any] = {} if whole["number"] == 1 else {"parent": 1}
        records.append(activity(whole.pop("number"), whole.pop("name"), **whole, **run, **parent))
    return records


def _compare(left: list[PlainRecord], right: list[PlainRecord]) -> Any:
    return compare(list(map(Record, left)), list(map(Record, right)))


def _told(found: Any) -> list[tuple[str, str, str, bool]]:
    return [(change.what, change.name, change.key, not change.caused_by) for change in found.changes]


@given(seeds=st.tuples(st.integers(1, 99), st.integers(1, 99)))
def test_time_is_no_difference(seeds: tuple[int, int]) -> None:
    """The same run again, in another order and another process, is no difference; every step is aligned."""
    found = _compare(sweep("aa" * 16, seed=seeds[0]), sweep(OTHER, seed=seeds[1]))

    assert found.same
    assert (found.aligned, found.unchanged) == (6, 6)


def test_a_parameter_and_what_it_caused() -> None:
    """A changed parameter is the cause; the output of its task, and what was made of that, are explained by it."""
    changed = {
        4: {
            "used": {"rate": 0.25, "data": "a text that is long enough to be told apart"},
            "generated": {"score": 0.530000001},
        }
    }
    changed[50] = {"used": {"scores": [RATES[0] * FACTOR, 0.530000001, RATES[2] * FACTOR]}}
    found = _compare(sweep("aa" * 16), sweep(OTHER, changed))

    assert _told(found)[0] == (What.INPUT, "train", "rate", True)
    (cause,) = (change for change in found.causes if change.name == "train")
    assert (cause.before, cause.after) == (0.2, 0.25)
    (scores,) = (change for change in found.changes if change.name == "choose")
    assert scores.caused_by == (id_of(4, OTHER),)
    outputs = [change for change in found.changes if change.what is What.OUTPUT]
    assert [change.caused_by for change in outputs] == [(id_of(4, OTHER),)]


def test_an_input_that_another_step_made() -> None:
    """Where a step generates something else, what used it differs because of that step."""
    other = {"generated": {"data": "another text that is long enough to be told apart"}}
    used = {
        number: {"used": {"rate": rate, "data": other["generated"]["data"]}} for number, rate in enumerate(RATES, 3)
    }
    found = _compare(sweep("aa" * 16), sweep(OTHER, {2: other, **used}))

    assert _told(found) == [
        (What.OUTPUT, "load", "data", True),
        *[(What.INPUT, "train", "data", False)] * 3,
    ]
    assert {change.caused_by for change in found.changes[1:]} == {(id_of(2, OTHER),)}
    assert found.unchanged == 2


def test_code_status_and_environment() -> None:
    """Other code, another end, and another version of Python are told, the code as the cause of the end."""
    failed = {"status": "error", "error": {"type": "ValueError", "message": "bad"}, "plan": {"hash": "sha256:bb"}}
    right = sweep(OTHER, {3: {**failed, "generated": {}}})
    for plain in right:
        plain["resource"] = {**plain["resource"], "process.runtime.version": "3.12"}
    found = _compare(sweep("aa" * 16), right)

    assert [(change.what, bool(change.caused_by)) for change in found.changes] == [
        (What.CODE, False),
        (What.STATUS, True),
        (What.OUTPUT, True),
    ]
    assert found.environment == {"process.runtime.version": (["3.11"], ["3.12"])}
    assert not found.same


def test_steps_that_were_replaced() -> None:
    """A step that was replaced by two is one removed and two added, and its neighbours stay aligned."""
    left = sweep("aa" * 16)
    right = [plain for plain in sweep(OTHER) if plain["name"] != "choose"]
    run: dict[str, Any] = {"trace_id": OTHER, "workflow_id": id_of(1, OTHER), "resource": right[0]["resource"]}
    right += [activity(60, "rank", parent=1, **run), activity(61, "pick", parent=1, **run)]
    found = _compare(left, right)

    assert _told(found) == [
        (What.REMOVED, "choose", "", True),
        (What.ADDED, "rank", "", True),
        (What.ADDED, "pick", "", True),
    ]
    assert found.aligned == 5


def test_what_a_workflow_passes_on() -> None:
    """What a workflow generates differently is explained by the step inside it that differs."""
    found = _compare(
        sweep("aa" * 16, {1: {"generated": {"best": 0.5}}}),
        sweep(OTHER, {1: {"generated": {"best": 0.6}}, 50: {"generated": {"best": 0.6}}}),
    )

    assert _told(found) == [(What.OUTPUT, "choose", "best", True), (What.OUTPUT, "sweep", "best", False)]


def test_runs_that_are_called_differently() -> None:
    """The workflows of two runs are the same step whatever they are called, and so is what is inside them."""
    found = _compare(sweep("aa" * 16), sweep(OTHER, {1: {"name": "another"}}))

    assert found.aligned == 6
    assert found.changes == []


def test_costs_are_sums_by_name() -> None:
    """What the steps of one name cost is summed on both sides."""
    found = _compare(sweep("aa" * 16), sweep(OTHER, {3: {"telemetry": {"cpu.user": 5.0}}}))
    (cpu,) = (cost for cost in found.costs if cost.figure == "cpu.user")

    assert (cpu.name, cpu.before, cpu.after) == ("train", 3.0, 7.0)
    assert found.same


@given(
    inputs=st.lists(st.fixed_dictionaries({"x": st.integers(0, 3), "y": st.integers(0, 3)}), max_size=12),
    gone=st.integers(0, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=60)
def test_equal_siblings_find_each_other(inputs: list[dict[str, Any]], gone: int, seed: int) -> None:
    """Of many steps of one name exactly those that one run lacks are told, in whatever order they ran."""
    left = [activity(n + 1, "step", used=used) for n, used in enumerate(inputs)]
    kept = list(enumerate(inputs))
    random.Random(seed).shuffle(kept)  # noqa: S311  # an order
    kept = kept[gone:]
    right = [
        activity(n + 1, "step", at=(place, place + 1), used=used, trace_id=OTHER)
        for place, (n, used) in enumerate(kept)
    ]
    found = _compare(left, right)

    assert {change.what for change in found.changes} <= {What.REMOVED}
    assert found.aligned == len(right)


def test_runs_of_a_store(store_of: StoreOf) -> None:
    """Runs are named as everywhere, and what is below a removed step is removed with it."""
    run: dict[str, Any] = {"trace_id": OTHER, "workflow_id": id_of(1, OTHER)}
    below = [activity(70, "outer", parent=1, **run), activity(71, "inner", parent=70, **run)]
    store = store_of([*sweep("aa" * 16), *sweep(OTHER), *below])

    found = store.diff(id_of(1, OTHER), "aaaa")

    assert [(change.what, change.name) for change in found.changes] == [
        (What.REMOVED, "outer"),
        (What.REMOVED, "inner"),
    ]
    assert store.diff("aaaa", "aaaa").same
