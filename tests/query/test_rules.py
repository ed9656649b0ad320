"""Lineage on every backend, held against the rules by brute force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_model.record import Record
from provtel_model.values import encode
from provtel_query.flow import Flow

from tests.exporters.backends import Backend, thinned
from tests.query.activities import FLOAT, LARGE, activity, id_of
from tests.query.memory import MemoryReader
from tests.query.rules import Edge, edges, innermost, reached
from tests.query.stores import held, in_memory
from tests.query.test_flow import histories, roles

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from provtel_model.components import Occurrence
    from provtel_model.record import PlainRecord
    from provtel_query import Store

crowded = st.sampled_from([LARGE, LARGE, LARGE, [FLOAT, LARGE], 4])


@st.composite
def nested(draw: st.DrawFn) -> list[PlainRecord]:
    """Return histories in which nothing ran inside itself: of that the rules say nothing."""
    plains = draw(histories())
    for plain in plains:
        if plain.get("parent_id", "") >= id_of(int(plain["span_id"], 16)):
            del plain["parent_id"]
    return plains


@st.composite
def crowds(draw: st.DrawFn) -> list[PlainRecord]:
    """Return activities of several runs that generate and use the same content, some inside those of another run."""
    records = []
    for number in range(1, draw(st.integers(6, 14)) + 1):
        start = draw(st.integers(0, 6)) + number // 2
        record = activity(number, at=(start, draw(st.none() | st.integers(start, start + 2))))
        record["workflow_id"] = draw(st.sampled_from("abc"))
        for way in ("used", "generated"):
            if draw(st.integers(0, 2)):
                record[way] = {draw(roles): encode(draw(crowded))}
        if number > 1 and draw(st.integers(0, 2)):
            record["parent_id"] = id_of(draw(st.integers(1, number - 1)))
        records.append(record)
    return records


@given(plains=nested())
@settings(max_examples=100)
def test_the_reference_reader_follows_the_rules(plains: list[PlainRecord]) -> None:
    """Whatever happened, the edges upstream and downstream are those of the rules, and lineages follow them."""
    with in_memory(plains) as store:
        _holds(store, plains)


@given(plains=crowds())
@settings(max_examples=100)
def test_the_reference_reader_follows_the_rules_in_a_crowd(plains: list[PlainRecord]) -> None:
    """However many runs generated one content, inside each other too, the edges are those of the rules."""
    with in_memory(plains) as store:
        _holds(store, plains)


@given(plains=nested())
@settings(max_examples=30)
@thinned
def test_every_backend_follows_the_rules(backend: Backend, plains: list[PlainRecord]) -> None:
    """Whatever happened, edges and lineages of a store on the disk or a server are those of the rules."""
    with held(backend, plains) as store:
        _holds(store, plains)


@given(plains=crowds())
@settings(max_examples=30)
@thinned
def test_every_backend_follows_the_rules_in_a_crowd(backend: Backend, plains: list[PlainRecord]) -> None:
    """However many runs generated one content, edges and lineages of a store on the disk or a server are right."""
    with held(backend, plains) as store:
        _holds(store, plains)


class _Whole(MemoryReader):
    """Leaves nothing out."""

    def generated_in(
        self, runs: Collection[str], data_keys: Collection[str]
    ) -> tuple[Mapping[str, Sequence[Occurrence]], Collection[str]]:
        """Return who generated each datum, in whatever runs."""
        del runs
        return self.generated(data_keys), ()


@given(plains=crowds())
def test_what_was_passed_on_does_not_depend_on_what_is_left_out(plains: list[PlainRecord]) -> None:
    """Which activity inside another generated what that one passed on is the same where all generators are read."""
    some, whole = Flow(MemoryReader(plains)), Flow(_Whole(plains))

    for record in map(Record, plains):
        for role in record.plain.get("generated", {}):
            assert some.passed_on(record, role) == whole.passed_on(record, role)


def _holds(store: Store, plains: list[PlainRecord]) -> None:
    wanted = edges(plains)
    assert _upstream(store, plains) == wanted
    assert _downstream(store, plains) == wanted
    made = {(Record(plain).id, role) for plain in plains for role in plain.get("generated", {})}
    flowing = {edge for edge in wanted if (edge.source, edge.source_role) in made}
    for record in map(Record, innermost(plains)[:1]):
        assert {*store.lineage(record).activities} == reached(wanted, record.id, down=False)
        assert {*store.lineage(record, "downstream").activities} == reached(flowing, record.id, down=True)


def _upstream(store: Store, plains: list[PlainRecord]) -> set[Edge]:
    flow = Flow(store.reader)
    return {
        Edge(origin.record.id, origin.role, user.id, role, origin.evidence.value, origin.candidates)
        for user in map(Record, plains)
        for role in user.plain.get("used", {})
        for origin in flow.origins(user, role)
    }


def _downstream(store: Store, plains: list[PlainRecord]) -> set[Edge]:
    flow = Flow(store.reader)
    return {
        Edge(generator.id, role, use.record.id, use.role, use.origin.evidence.value, use.origin.candidates)
        for generator in map(Record, plains)
        for role in ("x", "y")
        for use in flow.uses(generator, role)
    }
