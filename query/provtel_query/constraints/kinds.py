"""Constraints 50 to 56: what an identifier stands for, and what cannot be."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from prov.identifier import QualifiedName

from provtel_query.constraints.statements import ABSENT, OBJECTS, Kind
from provtel_query.constraints.verdict import finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_query.constraints.statements import Statement, Term
    from provtel_query.constraints.unification import Unification
    from provtel_query.constraints.verdict import Finding

_ENTITY, _ACTIVITY, _AGENT, _ANY = "entity", "activity", "agent", ""
_TYPES: Final = {
    Kind.GENERATION: (_ENTITY, _ACTIVITY),
    Kind.USAGE: (_ACTIVITY, _ENTITY),
    Kind.COMMUNICATION: (_ACTIVITY, _ACTIVITY),
    Kind.START: (_ACTIVITY, _ENTITY, _ACTIVITY),
    Kind.END: (_ACTIVITY, _ENTITY, _ACTIVITY),
    Kind.INVALIDATION: (_ENTITY, _ACTIVITY),
    Kind.DERIVATION: (_ENTITY, _ENTITY, _ACTIVITY),
    Kind.ATTRIBUTION: (_ENTITY, _AGENT),
    Kind.ASSOCIATION: (_ACTIVITY, _AGENT, _ENTITY),
    Kind.DELEGATION: (_AGENT, _AGENT, _ACTIVITY),
    Kind.SPECIALIZATION: (_ENTITY, _ENTITY),
    Kind.ALTERNATE: (_ENTITY, _ENTITY),
    Kind.MENTION: (_ENTITY, _ENTITY),
    Kind.MEMBERSHIP: (_ENTITY, _ENTITY),
}
"""What the arguments of a statement are (constraint 50)."""
_PROPERTIES: Final = frozenset(
    {
        Kind.USAGE,
        Kind.GENERATION,
        Kind.INVALIDATION,
        Kind.START,
        Kind.END,
        Kind.COMMUNICATION,
        Kind.ATTRIBUTION,
        Kind.ASSOCIATION,
        Kind.DELEGATION,
    }
)
"""The kinds that constraints 53 and 54 speak of."""
_EMPTY: Final = "http://www.w3.org/ns/prov#EmptyCollection"


def impossible(known: Unification, bundle: str) -> Iterator[Finding]:
    """Yield what cannot be."""
    yield from _disjoint(known, bundle)
    yield from _overlapping(known, bundle)
    for statement in known.of(Kind.DERIVATION):
        activity, generation, usage = statement.arguments[2:]
        if activity is ABSENT and not (generation is ABSENT and usage is ABSENT):
            reason = "a derivation names its generation or its usage, and no activity"
            yield finding(51, reason, [statement], bundle)
    yield from _specializations(known, bundle)
    yield from _empty_collections(known, bundle)


def _disjoint(known: Unification, bundle: str) -> Iterator[Finding]:
    typed: dict[Term, dict[str, Statement]] = defaultdict(dict)
    for statement in known.statements:
        if statement.kind in OBJECTS:
            typed[known.terms.find(statement.id)].setdefault(statement.kind, statement)
        for place, kind in enumerate(_TYPES.get(statement.kind, ())):
            term = known.argument(statement, place)
            if isinstance(term, QualifiedName):
                typed[term].setdefault(kind, statement)
    for term, kinds in typed.items():
        if _ENTITY in kinds and _ACTIVITY in kinds:
            both = (kinds[_ENTITY], kinds[_ACTIVITY])
            yield finding(55, f"{term} is an entity and an activity, and nothing is both", both, bundle)


def _overlapping(known: Unification, bundle: str) -> Iterator[Finding]:
    named: dict[Term, list[Statement]] = defaultdict(list)
    for statement in known.statements:
        if statement.kind in _PROPERTIES | OBJECTS and isinstance(statement.id, QualifiedName):
            named[statement.id].append(statement)
    for term, statements in named.items():
        relations = [statement for statement in statements if statement.kind in _PROPERTIES]
        if len(relations) > 1:
            kinds = " and ".join(statement.kind for statement in relations)
            yield finding(53, f"{term} is the identifier of {kinds}", relations, bundle)
        if relations and len(statements) > len(relations):
            kinds = " and ".join(statement.kind for statement in statements)
            yield finding(54, f"{term} is the identifier of {kinds}", statements, bundle)


def _specializations(known: Unification, bundle: str) -> Iterator[Finding]:
    """Yield the entities that are, by however many steps, specializations of themselves (inference 19)."""
    general: dict[Term, dict[Term, Statement]] = defaultdict(dict)
    for statement in known.of(Kind.SPECIALIZATION):
        general[known.argument(statement, 0)].setdefault(known.argument(statement, 1), statement)
    done: set[Term] = set()
    for start in list(general):
        way = None if start in done else _way_back(general, start)
        if way:
            done.update(known.argument(statement, 0) for statement in way)
            yield finding(52, f"{start} is a specialization of itself", way, bundle)


def _way_back(general: dict[Term, dict[Term, Statement]], start: Term) -> list[Statement]:
    """Return the shortest way from an entity through what it specializes back to itself."""
    ways: dict[Term, list[Statement]] = {start: []}
    queue = [start]
    for term in queue:
        for target, statement in general.get(term, {}).items():
            if target == start:
                return [*ways[term], statement]
            if target not in ways:
                ways[target] = [*ways[term], statement]
                queue.append(target)
    return []


def _empty_collections(known: Unification, bundle: str) -> Iterator[Finding]:
    """Yield the members of empty collections; a specialization of one is one (inference 21)."""
    empty = {known.terms.find(entity.id): [entity] for entity in known.of(Kind.ENTITY) if _EMPTY in entity.types}
    queue = list(empty)
    for general in queue:
        for statement in known.of(Kind.SPECIALIZATION):
            specific = known.argument(statement, 0)
            if known.argument(statement, 1) == general and specific not in empty:
                empty[specific] = [*empty[general], statement]
                queue.append(specific)
    for statement in known.of(Kind.MEMBERSHIP):
        collection = known.argument(statement, 0)
        if collection in empty:
            yield finding(
                56, f"the empty collection {collection} has a member", [*empty[collection], statement], bundle
            )
