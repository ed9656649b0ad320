"""Lineage on every backend, held against the rules by brute force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_model.record import Record
from provtel_query.flow import Flow

from tests.exporters.backends import Backend, thinned
from tests.query.activities import id_of
from tests.query.rules import Edge, edges, innermost, reached
from tests.query.stores import held, in_memory
from tests.query.test_flow import histories

if TYPE_CHECKING:
    from provtel_model.record import PlainRecord
    from provtel_query import Store


@st.composite
def nested(draw: st.DrawFn) -> list[PlainRecord]:
    """Return histories in which nothing ran inside itself: of that the rules say nothing."""
    plains = draw(histories())
    for plain in plains:
        if plain.get("parent_id", "") >= id_of(int(plain["span_id"], 16)):
            del plain["parent_id"]
    return plains


@given(plains=nested())
@settings(max_examples=100)
def test_the_reference_reader_follows_the_rules(plains: list[PlainRecord]) -> None:
    """Whatever happened, the edges upstream and downstream are those of the rules, and lineages follow them."""
    with in_memory(plains) as store:
        _holds(store, plains)


@given(plains=nested())
@settings(max_examples=30)
@thinned
def test_every_backend_follows_the_rules(backend: Backend, plains: list[PlainRecord]) -> None:
    """Whatever happened, edges and lineages of a store on the disk or a server are those of the rules."""
    with held(backend, plains) as store:
        _holds(store, plains)


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
        Edge(origin.record.id, origin.role, user.id, role, origin.evidence.value)
        for user in map(Record, plains)
        for role in user.plain.get("used", {})
        for origin in flow.origins(user, role)
    }


def _downstream(store: Store, plains: list[PlainRecord]) -> set[Edge]:
    flow = Flow(store.reader)
    return {
        Edge(generator.id, role, use.record.id, use.role, use.origin.evidence.value)
        for generator in map(Record, plains)
        for role in ("x", "y")
        for use in flow.uses(generator, role)
    }
