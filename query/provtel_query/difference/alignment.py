"""Which activity of one run is the same step as which of another: by structure, never by time.

Parents first: the children of two activities that are the same step are aligned among themselves, those of one kind
and name with one another. Of several of one name those that used and generated equal values belong together, then
those that used equal values, then those that have most inputs in common; the rest in the order of their inputs.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import ormsgpack
from provtel_model.hashing import canonical_bytes
from provtel_model.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from provtel_model.anyvalue import AnyValue

Pair: TypeAlias = "tuple[Record, Record]"


@dataclass(slots=True)
class Alignment:
    """Which activities belong together.

    Args:
        pairs: Activities of the first and of the second run that are the same step, parents before children.
        removed: Activities that only the first run has; whatever is below one is removed too.
        added: Activities that only the second run has.
    """

    pairs: list[Pair] = field(default_factory=list)
    removed: list[Record] = field(default_factory=list)
    added: list[Record] = field(default_factory=list)


def align(left: Iterable[Record], right: Iterable[Record]) -> Alignment:
    """Return which activities of two runs belong together."""
    result = Alignment()
    before, after = _by_parent(left), _by_parent(right)
    olds, news = before.pop("", []), after.pop("", [])
    if len(olds) == len(news) == 1:  # two runs that are one activity each are the same step, whatever they are called
        result.pairs.append((olds[0], news[0]))
        olds, news = before.pop(olds[0].id, []), after.pop(news[0].id, [])
    work = [(olds, news)]
    while work:
        olds, news = work.pop()
        pairs, removed, added = _align_siblings(olds, news)
        result.pairs += pairs
        result.removed += _whole(removed, before)
        result.added += _whole(added, after)
        work += [(before.pop(old.id, []), after.pop(new.id, [])) for old, new in pairs]
    return result


def _by_parent(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return the children of each activity; those whose parent is not of the run are its roots."""
    known = {record.id: record for record in records}
    result: dict[str, list[Record]] = defaultdict(list)
    for record in known.values():
        parent = record.plain.get("parent_id", "")
        result[parent if parent in known and parent != record.id else ""].append(record)
    return result


def _whole(records: Iterable[Record], children: dict[str, list[Record]]) -> list[Record]:
    """Return activities with all that is below them."""
    found = list(records)
    for record in found:
        found += children.pop(record.id, [])
    return found


def _align_siblings(olds: list[Record], news: list[Record]) -> tuple[list[Pair], list[Record], list[Record]]:
    pairs: list[Pair] = []
    groups: dict[Hashable, tuple[list[Record], list[Record]]] = defaultdict(lambda: ([], []))
    for side, records in enumerate((olds, news)):
        for record in records:
            groups[record.kind, record.name][side].append(record)
    removed: list[Record] = []
    added: list[Record] = []
    for some, others in groups.values():
        if len(some) == len(others) == 1:
            pairs.append((some[0], others[0]))
            continue
        left, right = some, others
        for key in (_quick, _inputs_and_outputs, _inputs):
            found, left, right = _match(left, right, key)
            pairs += found
        found, left, right = _match_by_common_inputs(left, right)
        pairs += found
        pairs += zip(sorted(left, key=_inputs), sorted(right, key=_inputs), strict=False)
        both = min(len(left), len(right))
        removed += sorted(left, key=_inputs)[both:]
        added += sorted(right, key=_inputs)[both:]
    return pairs, removed, added


def _match(
    left: list[Record], right: list[Record], key: Callable[[Record], bytes]
) -> tuple[list[Pair], list[Record], list[Record]]:
    """Return pairs of records of equal keys, and what is left of both sides."""
    waiting: dict[bytes, list[Record]] = defaultdict(list)
    for record in reversed(right):
        waiting[key(record)].append(record)
    pairs: list[Pair] = []
    rest: list[Record] = []
    for record in left:
        same = waiting.get(key(record))
        if same:
            pairs.append((record, same.pop()))
        else:
            rest.append(record)
    taken = {new.id for _, new in pairs}
    return pairs, rest, [record for record in right if record.id not in taken]


def _match_by_common_inputs(left: list[Record], right: list[Record]) -> tuple[list[Pair], list[Record], list[Record]]:
    """Return pairs of records that have all inputs but one in common, by the roles that tell most records apart."""
    pairs: list[Pair] = []
    for role in _roles(left, right):
        found, left, right = _match(left, right, lambda record, role=role: _inputs_but(record, role))  # type: ignore[misc]
        pairs += found
    for role in _roles(left, right):
        found, left, right = _match(left, right, lambda record, role=role: _input(record, role))  # type: ignore[misc]
        pairs += found
    return pairs, left, right


def _roles(left: list[Record], right: list[Record]) -> list[str]:
    """Return the roles that both sides use, first those with the most different values."""
    values: dict[str, set[bytes]] = defaultdict(set)
    for record in left:
        for role, value in record.plain.get("used", {}).items():
            values[role].add(canonical_bytes(value))
    common = {role for record in right for role in record.plain.get("used", {})}
    return sorted(values.keys() & common, key=lambda role: (-len(values[role]), role))


def _quick(record: Record) -> bytes:
    """Return bytes that are equal only where inputs and outputs are, and cost little."""
    plain = cast("dict[str, Any]", record.plain)
    return packed([plain.get("used"), plain.get("generated"), plain.get("status")])


def packed(value: AnyValue) -> bytes:
    """Return bytes that differ wherever two values do; of equal references they may differ too."""
    return ormsgpack.packb(value, option=ormsgpack.OPT_SORT_KEYS)


def _inputs_and_outputs(record: Record) -> bytes:
    plain = cast("dict[str, Any]", record.plain)
    return canonical_bytes([plain.get("used"), plain.get("generated"), plain.get("status")])


def _inputs(record: Record) -> bytes:
    return canonical_bytes(record.plain.get("used"))


def _inputs_but(record: Record, role: str) -> bytes:
    return canonical_bytes({key: value for key, value in record.plain.get("used", {}).items() if key != role})


def _input(record: Record, role: str) -> bytes:
    return canonical_bytes([record.plain.get("used", {}).get(role)])
