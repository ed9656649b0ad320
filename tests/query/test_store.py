"""A store: what it finds, in which order, of which run, by which id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from provtel_model.attributes import PROCESS_CREATION_TIME
from provtel_model.errors import FilterError, StoreError, UserError
from provtel_model.record import instant

from tests.query.activities import EPOCH, TRACE, activity, id_of, quickstart, span_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_model.record import PlainRecord, Record

    from tests.query.conftest import StoreOf

OTHER = "bb" * 16


def runs() -> list[PlainRecord]:
    """Return the quickstart and an older run of three tasks, of which one failed."""
    workflow: dict[str, Any] = {"trace_id": OTHER, "workflow_id": "old-run"}
    return [
        *quickstart(),
        activity(1, "older", at=(-100, -90), kind="workflow", **workflow),
        activity(2, "a", at=(-99, -98), used={"rate": 0.1}, parent=1, **workflow),
        activity(3, "b", at=(-98, -94), used={"rate": 0.2}, parent=1, status="error", **workflow),
        activity(4, "c", at=(-94, -92), used={"rate": 0.3}, parent=1, **workflow),
    ]


def names(records: Sequence[Record]) -> list[str]:
    """Return the names of records."""
    return [record.name for record in records]


def test_tasks_are_those_of_the_last_run_newest_first(store_of: StoreOf) -> None:
    """Unless told otherwise, tasks are those of the run that started last, the newest first."""
    assert names(store_of(runs()).tasks()) == ["mult_two", "sum_one"]


@pytest.mark.parametrize("run", ["old-run", "older", OTHER, OTHER[:6], id_of(3, OTHER)])
def test_a_run_has_several_names(store_of: StoreOf, run: str) -> None:
    """A run is named by its id, its workflow's name, and the ids of the records in it."""
    assert names(store_of(runs()).tasks(run=run)) == ["c", "b", "a"]


def test_all_runs(store_of: StoreOf) -> None:
    """All runs are all tasks, and no workflow."""
    assert names(store_of(runs()).tasks(all_runs=True)) == ["mult_two", "sum_one", "c", "b", "a"]


def test_where_sort_and_limit(store_of: StoreOf) -> None:
    """Tasks are filtered, sorted and limited as asked."""
    store = store_of(runs())

    assert names(store.tasks({"used.rate": {"$gt": 0.1}}, run="old-run")) == ["c", "b"]
    assert names(store.tasks(run="old-run", sort="-duration")) == ["b", "c", "a"]
    assert names(store.tasks(run="old-run", sort=["status", "-name"])) == ["b", "c", "a"]
    assert names(store.tasks(all_runs=True, limit=1)) == ["mult_two"]


def test_limit_is_fifty_unless_told_otherwise(store_of: StoreOf) -> None:
    """Fifty tasks are listed, or all where no limit is asked for."""
    store = store_of([activity(number, workflow_id="w") for number in range(1, 61)])

    assert (len(store.tasks()), len(store.tasks(limit=None))) == (50, 60)


def test_workflows_and_records(store_of: StoreOf) -> None:
    """Workflows are listed newest first; records are of every kind."""
    store = store_of(runs())

    assert names(store.workflows()) == ["main", "older"]
    assert len(store.records()) == 7
    assert names(store.records({"status": "error"})) == ["b"]


def test_count(store_of: StoreOf) -> None:
    """Records are counted in all runs or in one, with a filter or without."""
    store = store_of(runs())

    assert (store.count(), store.count(run="older"), store.count({"kind": "task"}, run="older")) == (7, 4, 3)


def test_children(store_of: StoreOf) -> None:
    """What ran directly inside an activity is listed oldest first."""
    store = store_of(runs())

    assert names(store.children(store.workflows()[0])) == ["sum_one", "mult_two"]


def test_get(store_of: StoreOf) -> None:
    """A record is found by its id, a prefix of it, and a prefix of its span id."""
    records = [activity(0xABCD_0000_0000_0001, "one", at=(1, 2)), activity(0xABCE_0000_0000_0002, "two", at=(2, 3))]
    store = store_of(records)

    for identity in (id_of(0xABCD_0000_0000_0001), f"{TRACE}-abcd", "abcd", "ABCD00", span_of(0xABCD_0000_0000_0001)):
        record = store.get(identity)
        assert record is not None
        assert record.name == "one"


def test_get_by_trace_is_the_workflow(store_of: StoreOf) -> None:
    """The first digits of a trace id mean the record that the trace began with."""
    record = store_of(runs()).get(OTHER[:8])

    assert record is not None
    assert record.name == "older"


@pytest.mark.parametrize("identity", ["", "aaa", "no id", "ffff", "../..", TRACE + "-" + "f" * 17])
def test_get_nothing(store_of: StoreOf, identity: str) -> None:
    """What is no id, and an id of nothing, finds nothing."""
    assert store_of(runs()).get(identity) is None


def test_ambiguous_ids_are_told(store_of: StoreOf) -> None:
    """A prefix that fits several records is an error that names some."""
    with pytest.raises(UserError, match=r"'0000' fits 3 records, such as .*mult_two.*give more digits"):
        store_of(quickstart()).get("0000")


def test_short_ids_mean_the_last_run_first(store_of: StoreOf) -> None:
    """The digits of a span id that a table shows are looked for in the last run before all others."""
    span = 0xAB << 48
    records = [activity(span, "new", at=(1, 2)), activity(span, "old", at=(-9, -8), trace_id=OTHER)]
    record = store_of(records).get(span_of(span)[:8])

    assert record is not None
    assert record.name == "new"


def test_the_last_run_of_tasks_without_a_workflow_is_their_process(store_of: StoreOf) -> None:
    """Tasks without a workflow, each a trace of its own, are listed together with those of their process."""
    process: dict[str, Any] = {"host": "h", "pid": 7, "resource": {PROCESS_CREATION_TIME: instant(EPOCH).isoformat()}}
    records = [activity(number, trace_id=f"{number:032x}", **process) for number in (1, 2, 3)]
    before = activity(4, at=(-5, -4), trace_id="cc" * 16, **process)
    elsewhere = activity(5, at=(2, 3), trace_id="dd" * 16, **process | {"pid": 8})

    assert names(store_of([*records, before, elsewhere]).tasks()) == ["t3", "t2", "t1"]


def test_an_unknown_run_is_an_error(store_of: StoreOf) -> None:
    """A run that is not there is an error that says where to look."""
    with pytest.raises(UserError, match=r"there is no run 'nope' in .*provtel workflows"):
        store_of(runs()).tasks(run="nope")


def test_one_run_and_all_runs_is_an_error(store_of: StoreOf) -> None:
    """To ask for one run and for all is refused."""
    with pytest.raises(UserError, match="choose one"):
        store_of(runs()).tasks(run="older", all_runs=True)


@pytest.mark.parametrize("where", [{"lr": 3}, {"name": {"$like": "a"}}, {"started_at": "yesterday"}])
def test_wrong_filters_are_errors(store_of: StoreOf, where: dict[str, Any]) -> None:
    """A field, an operator or an operand that is not understood is an error, never an empty answer."""
    with pytest.raises(FilterError):
        store_of([]).tasks(where)


def test_an_empty_store_answers(store_of: StoreOf) -> None:
    """An empty store has no tasks, no workflows, no records."""
    store = store_of([])

    assert (store.tasks(), store.workflows(), store.records(), store.count(), store.get("abcd")) == (
        [],
        [],
        [],
        0,
        None,
    )


def test_a_store_is_closed_at_the_end(store_of: StoreOf) -> None:
    """After its with statement a store over LMDB answers nothing any more; to close it twice does no harm."""
    with store_of(runs()) as store:
        assert store.count() == 7
    store.close()
    if "Lmdb" in type(store._reader).__name__:
        with pytest.raises(StoreError, match="closed"):
            store.count()
