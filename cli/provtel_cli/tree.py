"""A lineage as a tree on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel_model.record import State
from provtel_query import Direction
from provtel_query.narrowing import steps
from provtel_query.text import cut, short_id, value_text
from rich.text import Text
from rich.tree import Tree

from provtel_cli.table import STYLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.record import Record
    from provtel_query import Entity, Lineage, Usage

_CHAIN: Final = 20
_WIDTH: Final = 60
_VALUE: Final = 48


def chain(lineage: Lineage) -> str | None:
    """Return a lineage that is one line of a few nodes as ``o2 <- mult_two <- o1``; ``None`` for any other."""
    following = steps(lineage)
    if len(lineage.roots) != 1 or any(len(after) > 1 for after in following.values()):
        return None
    names: list[str] = []
    node: str | None = lineage.roots[0]
    while node is not None and len(names) <= _CHAIN:
        names.append(_name(lineage, node))
        node = next(iter(following.get(node, ())), None)
    arrow = " <- " if lineage.direction is Direction.UPSTREAM else " -> "
    return arrow.join(names) if 1 < len(names) <= _CHAIN else None


def trees(lineage: Lineage) -> Iterator[Tree]:
    """Yield a tree for each root; what was shown already is not shown again below."""
    following = steps(lineage)
    usages = {(usage.entity, usage.activity): usage for usage in lineage.usages}
    shown: set[str] = set()
    for root in lineage.roots:
        tree = Tree(_label(lineage, root))
        stack = [(tree, root)]
        while stack:
            branch, node = stack.pop()
            after = following.get(node, [])
            if node in shown and after:
                branch.add(Text("shown above", style="dim"))
                continue
            shown.add(node)
            added = [(branch.add(_step_label(lineage, usages, node, step)), step) for step in after]
            stack.extend(reversed(added))
        yield tree


def _name(lineage: Lineage, node: str) -> str:
    record = lineage.activities.get(node)
    return cut(record.name if record else lineage.entities[node].role, _WIDTH)


def _label(lineage: Lineage, node: str) -> Text:
    record = lineage.activities.get(node)
    return _activity(record) if record else _entity(lineage.entities[node])


def _step_label(lineage: Lineage, usages: dict[tuple[str, str], Usage], source: str, target: str) -> Text:
    usage = usages.get((target, source)) or usages.get((source, target))
    label = _label(lineage, target)
    return label + _how(usage, lineage) if usage else label


def _activity(record: Record) -> Text:
    label = Text.assemble((cut(record.name, _WIDTH), "bold"), " ", (short_id(record), "dim"))
    if record.status is State.FINISHED:
        return label
    error = record.error
    reason = ": ".join(part for part in (error.type, error.message) if part) if error else ""
    return label + Text(cut(f" {record.status} {reason}".rstrip(), _WIDTH), style=STYLES[record.status])


def _entity(entity: Entity) -> Text:
    return Text.assemble((cut(entity.role, _WIDTH), "cyan"), " = ", value_text(entity.value, _VALUE))


def _how(usage: Usage, lineage: Lineage) -> Text:
    if usage.evidence is None:
        return Text()
    words = [usage.evidence.text]
    entity = lineage.entities.get(usage.entity)
    if (entity is None or usage.role != entity.role) and not usage.passed_on:
        words.append(f"as {usage.role}")
    if usage.candidates > 1:
        words.append(f"the latest of {usage.candidates}")
    if usage.passed_on:
        words.append("passed on")
    return Text(f"  ({cut(', '.join(words), _WIDTH)})", style="dim")
