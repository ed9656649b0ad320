"""Lineage as a graph: what is in it, how far it goes, what is at its roots."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from provtel_model.components import DrainReport
from provtel_model.errors import UserError
from provtel_query import Direction, Evidence, Store

from tests.query.activities import FLOAT, LARGE, TRACE, activity, file, id_of, link, quickstart, span_of
from tests.query.memory import MemoryReader

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from provtel_model.components import Occurrence
    from provtel_model.filters import Query
    from provtel_model.record import PlainRecord, Record
    from provtel_query import Lineage

    from tests.query.conftest import StoreOf


def sweep(trials: int = 5) -> list[PlainRecord]:
    """Return a data set, trainings on it, their evaluations, and the choice of the best."""
    records = [activity(1, "load", generated={"data": LARGE})]
    scores = [FLOAT + trial / 1000 for trial in range(trials)]
    for trial, score in enumerate(scores):
        model = f"{LARGE}, model {trial}"
        train = {"data": LARGE, "rate": trial}
        records += [activity(10 + trial, "train", used=train, generated={"model": model})]
        records += [activity(100 + trial, "score", used={"model": model}, generated={"score": score})]
    return [*records, activity(200, "choose", used={"scores": scores}, generated={"best": max(scores)})]


def names(lineage: Lineage) -> list[str]:
    """Return the names of a lineage's activities, in the order they were found."""
    return [record.name for record in lineage.activities.values()]


def edges(lineage: Lineage) -> set[tuple[str, str, str]]:
    """Return a lineage's edges as activity, relation and role."""
    found = lineage.activities
    return {(found[usage.activity].name, "used", usage.role) for usage in lineage.usages} | {
        (found[generation.activity].name, "generated", generation.role) for generation in lineage.generations
    }


@pytest.mark.parametrize("target", ["8", "o2=8", span_of(3), id_of(3)])
def test_quickstart(store_of: StoreOf, target: str) -> None:
    """The result of the quickstart came by two tasks from its input, whatever it is asked by."""
    found = store_of(quickstart()).lineage(target)

    assert names(found) == ["mult_two", "sum_one"]
    assert {
        ("mult_two", "used", "o1"),
        ("sum_one", "generated", "o1"),
        ("sum_one", "used", "i1"),
    } == edges(found) - {("mult_two", "generated", "o2")}
    assert [usage.evidence for usage in found.usages] == [Evidence.SAME_NAME_AND_VALUE, None]


def test_a_workflow_leads_to_who_made_what_it_passed_on(store_of: StoreOf) -> None:
    """Asked for a workflow, the lineage goes through the tasks that generated what it returned."""
    found = store_of(quickstart()).lineage(id_of(1))

    assert names(found) == ["main", "mult_two", "sum_one"]
    assert [(usage.role, usage.passed_on) for usage in found.usages if usage.passed_on] == [("o2", True)]


def test_downstream_of_an_input(store_of: StoreOf) -> None:
    """What came of a value that nobody generated begins with all who used it."""
    found = store_of(quickstart()).lineage("i1=3", "downstream")

    assert {"main", "sum_one", "mult_two"} == set(names(found))
    assert [(found.entities[root].role, found.entities[root].value) for root in found.roots] == [("i1", 3)]


def test_downstream_of_a_workflow_follows_what_it_passed_on(store_of: StoreOf) -> None:
    """What a workflow returned is followed from the task that generated it."""
    records = [*quickstart(), activity(20, "report", used={"o2": 8}, workflow_id=id_of(1))]

    assert names(store_of(records).lineage(id_of(1), Direction.DOWNSTREAM)) == ["main", "report"]


def test_upstream_gathers_every_branch_once(store_of: StoreOf) -> None:
    """The choice of the best came from all scores, all models and one data set, and each is there once."""
    found = store_of(sweep()).lineage(id_of(200))

    assert {name: names(found).count(name) for name in names(found)} == {"choose": 1, "score": 5, "train": 5, "load": 1}
    assert {f"scores[{trial}]" for trial in range(5)} == {
        usage.role for usage in found.usages if usage.activity == id_of(200)
    }


def test_downstream_is_the_same_graph_from_the_other_end(store_of: StoreOf) -> None:
    """From the data set down there are the same edges as from the result up, but for parameters and loose ends."""
    store = store_of(sweep())
    up, down = store.lineage(id_of(200)), store.lineage(id_of(1), "downstream")

    loose = {("train", "used", "rate"), ("choose", "generated", "best")}
    assert edges(up) - loose == edges(down) - loose


@pytest.mark.parametrize(("depth", "expected"), [(0, 1), (1, 6), (2, 11), (3, 12), (None, 12)])
def test_depth_counts_activities(store_of: StoreOf, depth: int | None, expected: int) -> None:
    """A depth is a number of activities from the target, and an answer that was cut says so."""
    found = store_of(sweep()).lineage(id_of(200), depth=depth)

    assert expected == len(found.activities)
    assert found.cut == (expected < 12)


def test_depth_of_a_datum(store_of: StoreOf) -> None:
    """From a datum, the activity that generated it is the first."""
    store = store_of(quickstart())

    assert names(store.lineage("o2=8", depth=0)) == []
    assert names(store.lineage("o2=8", depth=1)) == ["mult_two"]


def test_negative_depth_is_an_error(store_of: StoreOf) -> None:
    """A depth below zero is refused."""
    with pytest.raises(UserError, match="depth is -1"):
        store_of([]).lineage("8", depth=-1)


def test_evidence_filters_edges(store_of: StoreOf) -> None:
    """Edges that are not known well enough are not followed."""
    found = store_of(quickstart()).lineage("o2=8", evidence="same_content")

    assert names(found) == ["mult_two"]


def test_unknown_evidence_is_an_error(store_of: StoreOf) -> None:
    """A word that names no evidence is refused with the nearest that does."""
    with pytest.raises(UserError, match="did you mean 'same_content'"):
        store_of(quickstart()).lineage("o2=8", evidence="same_contents")


def test_cycles_end(store_of: StoreOf) -> None:
    """Links in a circle, which only a mistake makes, are walked once, both ways."""
    records = [
        activity(1, used={"x": 1}, generated={"y": 1}, links=[link(2, "x", "y")]),
        activity(2, used={"x": 1}, generated={"y": 1}, links=[link(1, "x", "y")]),
    ]
    store = store_of(records)

    assert {"t1", "t2"} == set(names(store.lineage(id_of(1)))) == set(names(store.lineage(id_of(1), "downstream")))


def test_the_latest_generation_of_a_value(store_of: StoreOf) -> None:
    """Of several that generated a value the latest is followed, and the number of others is told."""
    found = store_of([activity(number, generated={"y": LARGE}) for number in (1, 2, 3)]).lineage(LARGE)

    assert (names(found), found.others) == (["t3"], 2)


def test_downstream_of_a_value_that_many_generated(store_of: StoreOf) -> None:
    """What came of a value is what came of every generation of it."""
    records = [
        activity(1, generated={"y": LARGE}),
        activity(2, used={"x": LARGE}),
        activity(3, generated={"y": LARGE}),
        activity(4, used={"x": LARGE}),
    ]

    assert {"t2", "t4"} == set(names(store_of(records).lineage(LARGE, "downstream")))


def test_large_values_are_found_in_any_run(store_of: StoreOf) -> None:
    """A value that can be known by itself is found beyond the last run."""
    records = [
        activity(1, generated={"y": LARGE}, workflow_id="old"),
        activity(2, generated={"y": 1}, workflow_id="new"),
    ]

    assert names(store_of(records).lineage(LARGE)) == ["t1"]


def test_small_values_are_found_in_one_run(store_of: StoreOf) -> None:
    """A value that says little by itself is looked for in the last run, or in the one that is named."""
    records = [activity(1, generated={"y": 7}, workflow_id="old"), activity(2, generated={"y": 1}, workflow_id="new")]
    store = store_of(records)

    assert names(store.lineage("7", run="old")) == ["t1"]
    assert names(store.lineage("y=7")) == ["t1"]
    with pytest.raises(UserError, match="nothing is known of '7'"):
        store.lineage("7")


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("[1, 2]", [1, 2]),
        ("9", 9.0),
        ('"ok"', "ok"),
        ("ok", "ok"),
        ("true", True),
        ("y=ok", "ok"),
        ([1, (2, 3)], [1, (2, 3)]),
        (None, None),
    ],
)
def test_values_as_people_write_them(store_of: StoreOf, target: object, value: object) -> None:
    """A value is found by its JSON, by its text, and as it is in Python."""
    assert names(store_of([activity(1, generated={"y": value})]).lineage(target)) == ["t1"]


def test_numbers_are_not_truths(store_of: StoreOf) -> None:
    """1 is not true."""
    with pytest.raises(UserError, match="nothing is known"):
        store_of([activity(1, generated={"y": True})]).lineage("1")


def test_a_hash_is_a_target(store_of: StoreOf) -> None:
    """A content is found by its hash, with and without the prefix, where it was generated and where it was used."""
    store = store_of([activity(1, used={"x": file("file:///a", "1")}, generated={"y": file("file:///b", "2")})])

    assert names(store.lineage("sha256:" + "2" * 64)) == ["t1"]
    assert names(store.lineage("1" * 64, "downstream")) == ["t1"]


def test_a_file_is_a_target(store_of: StoreOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is found by its content while it is as it was, and by its place later."""
    path = tmp_path / "report.txt"
    path.write_text("a report")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    written = file(path.as_uri()).__class__("file", hash=f"sha256:{digest}", nbytes=100, uri=path.as_uri())
    store = store_of([activity(1, generated={"report": written})])
    monkeypatch.chdir(tmp_path)

    assert names(store.lineage("report.txt")) == ["t1"]
    assert names(store.lineage(path)) == ["t1"]
    path.write_text("another")
    assert names(store.lineage(path)) == ["t1"]
    assert names(store.lineage("report.txt")) == ["t1"]
    assert names(store.lineage(path.as_uri())) == ["t1"]


def test_a_path_is_a_target(store_of: StoreOf, tmp_path: Path) -> None:
    """A value that is a path, whether there is a file or not, is found by its text."""
    store = store_of(
        [activity(1, generated={"y": tmp_path / "gone"}), activity(2, generated={"y": 1}, workflow_id="b")]
    )

    assert names(store.lineage(str(tmp_path / "gone"))) == ["t1"]
    assert names(store.lineage(tmp_path / "gone")) == ["t1"]


def test_a_used_value_with_a_declared_source_leads_to_it(store_of: StoreOf) -> None:
    """A value that only its user recorded leads to the source that the user declared."""
    records = [activity(1, generated={"y": 1}), activity(2, used={"x": LARGE}, links=[link(1, "x", "y")])]

    assert names(store_of(records).lineage(LARGE)) == ["t1"]


def test_a_record_is_a_target(store_of: StoreOf) -> None:
    """A record that an answer holds can be asked for as it is."""
    store = store_of(quickstart())

    assert names(store.lineage(store.tasks()[0])) == ["mult_two", "sum_one"]


def test_long_chains(store_of: StoreOf) -> None:
    """A chain of a thousand activities is followed to its end."""
    records = [
        activity(number, used={"x": f"{LARGE} {number}"}, generated={"y": f"{LARGE} {number + 1}"})
        for number in range(1, 1001)
    ]

    assert len(store_of(records).lineage(f"{TRACE}-{span_of(1000)}").activities) == 1000


class _Counting(MemoryReader):
    """Counts how often it is asked."""

    asked = 0

    def get(self, record_id: str) -> Record | None:
        """Count, and answer."""
        self.asked += 1
        return super().get(record_id)

    def find(self, query: Query) -> Sequence[Record]:
        """Count, and answer."""
        self.asked += 1
        return super().find(query)

    def generated(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Count, and answer."""
        self.asked += 1
        return super().generated(data_keys)

    def used(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Count, and answer."""
        self.asked += 1
        return super().used(data_keys)


@pytest.mark.parametrize("direction", list(Direction))
def test_wide_lineages_take_as_few_lookups_as_narrow_ones(direction: Direction) -> None:
    """How often a reader is asked depends on how deep a lineage is, not on how many activities lie at each depth."""

    def asked(trials: int) -> int:
        reader = _Counting(sweep(trials))
        with Store("", reader, DrainReport(0, 0, {})) as store:
            found = store.lineage(id_of(200 if direction is Direction.UPSTREAM else 1), direction)
        assert len(found.activities) == 2 * trials + 2
        return reader.asked

    assert asked(20) == asked(4)
