"""Parts of a lineage: what lies between two of its nodes, and its activities without the data between them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provtel_query.lineage import Direction, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provtel_query.lineage import Lineage


def between(upstream: Lineage, sources: Iterable[str]) -> Lineage:
    """Return what of an upstream lineage lies on any way from some of its nodes to its roots; nothing where none does.

    Args:
        upstream: The lineage.
        sources: Ids of activities and entities.
    """
    nodes = _reached(upstream, sources)
    return replace(
        upstream,
        roots=[root for root in upstream.roots if root in nodes],
        activities={identity: record for identity, record in upstream.activities.items() if identity in nodes},
        entities={identity: entity for identity, entity in upstream.entities.items() if identity in nodes},
        usages=[usage for usage in upstream.usages if {usage.activity, usage.entity} <= nodes],
        generations=[edge for edge in upstream.generations if {edge.activity, edge.entity} <= nodes],
    )


def without_data(lineage: Lineage) -> Lineage:
    """Return the activities of a lineage; an edge leads from one to the one that generated what it used.

    Data that nobody is known to have generated are left out. In place of a root that is an entity stand its
    activities: the one that generated it, or those that used it.
    """
    generators = {edge.entity: edge.activity for edge in lineage.generations}
    generators |= {usage.entity: generator for usage in lineage.usages if (generator := _generator(lineage, usage))}
    edges = [
        usage._replace(entity=generators[usage.entity])
        for usage in lineage.usages
        if generators.get(usage.entity) in lineage.activities
    ]
    roots = {node: None for root in lineage.roots for node in _activities_at(lineage, root, generators)}
    return replace(lineage, roots=list(roots), entities={}, usages=edges, generations=[])


def steps(lineage: Lineage) -> dict[str, list[str]]:
    """Return which nodes come after each, in the direction of a lineage."""
    found: dict[str, list[str]] = {}
    for source, target in _backwards(lineage):
        node, following = (source, target) if lineage.direction is Direction.UPSTREAM else (target, source)
        found.setdefault(node, []).append(following)
    return found


def _backwards(lineage: Lineage) -> Iterator[tuple[str, str]]:
    yield from ((usage.activity, usage.entity) for usage in lineage.usages)
    yield from ((edge.entity, edge.activity) for edge in lineage.generations)


def _reached(upstream: Lineage, sources: Iterable[str]) -> set[str]:
    """Return the nodes on the ways from some nodes to the roots, both ends included."""
    after: dict[str, list[str]] = {}
    for node, origin in _backwards(upstream):
        after.setdefault(origin, []).append(node)
    reached: set[str] = set()
    waiting = [node for node in sources if node in upstream.activities or node in upstream.entities]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting.extend(after.get(node, ()))
    return reached


def _generator(lineage: Lineage, usage: Usage) -> str | None:
    identity = usage.entity.partition("/")[0]
    return identity if usage.evidence and identity in lineage.activities else None


def _activities_at(lineage: Lineage, root: str, generators: dict[str, str]) -> list[str]:
    if root in lineage.activities:
        return [root]
    if generators.get(root) in lineage.activities:
        return [generators[root]]
    return [usage.activity for usage in lineage.usages if usage.entity == root]
