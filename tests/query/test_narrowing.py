"""Parts of a lineage: ways from one node to another, up to a name, activities alone, through several stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from provtel_query import Direction

from tests.query.activities import FLOAT, LARGE, activity, file, id_of, quickstart

if TYPE_CHECKING:
    from provtel_model.record import PlainRecord
    from provtel_query import Lineage

    from tests.query.conftest import StoreOf


def diamond() -> list[PlainRecord]:
    """Return two ways from one datum to another, and a branch beside them: ``a -> (b | c) -> d``, ``a -> e``."""
    return [
        activity(1, "a", generated={"one": LARGE}),
        activity(2, "b", used={"in": LARGE}, generated={"two": FLOAT}),
        activity(3, "c", used={"in": LARGE}, generated={"three": LARGE + "3"}),
        activity(4, "d", used={"x": FLOAT, "y": LARGE + "3", "rate": 4}, generated={"end": LARGE + "4"}),
        activity(5, "e", used={"in": LARGE}, generated={"side": LARGE + "5"}),
    ]


def names(lineage: Lineage) -> list[str]:
    """Return the names of a lineage's activities, sorted."""
    return sorted(record.name for record in lineage.activities.values())


def arrows(lineage: Lineage) -> list[tuple[str, str, str]]:
    """Return the edges of a lineage without data: user, generator, role."""
    name = {identity: record.name for identity, record in lineage.activities.items()}
    return sorted((name[usage.activity], name[usage.entity], usage.role) for usage in lineage.usages)


def test_path_has_every_way_and_nothing_beside_them(store_of: StoreOf) -> None:
    """Of a datum and what came of it by two ways both ways are there, no other input, and no branch."""
    found = store_of(diamond()).path(LARGE, LARGE + "4")

    assert names(found) == ["b", "c", "d"]
    assert {entity.role for entity in found.entities.values()} == {"one", "two", "three", "end"}


@pytest.mark.parametrize(("source", "target"), [(id_of(1), id_of(4)), (id_of(2), id_of(4)), (id_of(4), id_of(4))])
def test_path_between_activities_has_both_ends(store_of: StoreOf, source: str, target: str) -> None:
    """Activities are the ends of a path as data are."""
    found = store_of(diamond()).path(source, target)

    assert {source, target} <= set(found.activities)


def test_no_path_is_empty(store_of: StoreOf) -> None:
    """Where something did not come from something else, or the other way round, there is nothing between them."""
    store = store_of(diamond())

    assert len(store.path(id_of(4), id_of(1))) == 0
    assert len(store.path(id_of(5), id_of(4))) == 0


@pytest.mark.parametrize("until", ["b", ["b", "nothing"]])
def test_lineage_stops_at_a_name(store_of: StoreOf, until: str | list[str]) -> None:
    """An activity of the name is in the lineage, what lies behind it is not, unless another way leads there."""
    store = store_of([*diamond()[:2], activity(4, "d", used={"x": FLOAT})])

    assert names(store.lineage(id_of(4), until=until)) == ["b", "d"]
    assert names(store.lineage(id_of(1), "downstream", until=until)) == ["a", "b"]


def test_lineage_stops_at_a_kind(store_of: StoreOf) -> None:
    """A kind of activity ends a lineage as a name does; where it starts is no end."""
    store = store_of(diamond())

    assert names(store.lineage(id_of(4), until="task")) == ["b", "c", "d"]


def test_activities_without_data(store_of: StoreOf) -> None:
    """Without data the edges lead from user to generator, in both directions."""
    store = store_of(diamond())
    edges = [("b", "a", "in"), ("c", "a", "in"), ("d", "b", "x"), ("d", "c", "y")]

    assert arrows(store.lineage(id_of(4)).without_data()) == edges
    assert arrows(store.lineage(id_of(1), "downstream").without_data()) == [*edges, ("e", "a", "in")]
    assert not store.lineage(id_of(4)).without_data().entities


@pytest.mark.parametrize(
    ("target", "direction", "roots"),
    [
        (LARGE + "4", Direction.UPSTREAM, ["d"]),
        (LARGE, Direction.DOWNSTREAM, ["b", "c", "e"]),
        ("rate=4", Direction.DOWNSTREAM, ["d"]),
    ],
)
def test_roots_without_data(store_of: StoreOf, target: str, direction: Direction, roots: list[str]) -> None:
    """A datum asked for gives its place to the activities at it."""
    found = store_of(diamond()).lineage(target, direction).without_data()

    assert sorted(found.activities[root].name for root in found.roots) == roots


def test_activities_that_pass_a_value_on_are_joined_to_the_one_inside(store_of: StoreOf) -> None:
    """A workflow without data leads to the task inside it that made its result."""
    found = store_of(quickstart()).lineage(id_of(1)).without_data()

    assert ("main", "mult_two", "o2") in arrows(found)


def test_stores_that_never_met_are_joined_by_content(store_of: StoreOf) -> None:
    """A file that one site made and another used leads through both stores, in both directions."""
    there = store_of([activity(1, "simulate", generated={"out": file("file:///there/x")}, workflow_id="w1")])
    here = store_of([activity(2, "train", used={"data": file("file:///here/y")}, workflow_id="w2")])

    assert names(here.lineage(id_of(2))) == ["train"]
    assert names(here.lineage(id_of(2), also=[there])) == ["simulate", "train"]
    assert names(there.lineage(id_of(1), "downstream", also=[here])) == ["simulate", "train"]
    assert names(here.path(id_of(1), id_of(2), also=[there])) == ["simulate", "train"]


def test_a_record_of_two_stores_is_there_once(store_of: StoreOf) -> None:
    """Joining a store with a copy of itself changes nothing."""
    one, two = store_of(diamond()), store_of(diamond())

    assert one.lineage(id_of(4), also=[two]) == one.lineage(id_of(4))
