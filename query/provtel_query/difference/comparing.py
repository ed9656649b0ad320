"""The comparison of two runs."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, cast

from provtel_model import attributes as names
from provtel_model.dataflow import data_keys
from provtel_model.hashing import canonical_bytes

from provtel_query.difference.alignment import Alignment, align, packed
from provtel_query.difference.answer import Change, Cost, Difference, What

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import Record


_OWN: Final = frozenset(
    {
        names.PROCESS_PID,
        names.PROCESS_CREATION_TIME,
        names.SERVICE_INSTANCE_ID,
    }
)
"""What every process has of its own and no run has in common with another."""
_PEAK: Final = "peak"
_ORDER: Final = {what: place for place, what in enumerate(What)}


def compare(left: Sequence[Record], right: Sequence[Record]) -> Difference:
    """Return what is different between the records of two runs.

    Costs time in proportion to the records, and hashes only what the runs do not have in common.
    """
    found = align(left, right)
    changes = [change for pair in found.pairs for change in _changes(*pair)]
    changed = {change.right.id for change in changes if change.right}
    changes += [Change(What.REMOVED, record, None) for record in found.removed]
    changes += [Change(What.ADDED, None, record) for record in found.added]
    changes = _ranked(_explained(changes, found, left, right), found)
    return Difference(
        _run(left),
        _run(right),
        len(found.pairs),
        sum(new.id not in changed for _, new in found.pairs),
        changes,
        _environment(left, right),
        costs=list(_costs(left, right, {new.id: old.name for old, new in found.pairs})),
    )


def _run(records: Sequence[Record]) -> str:
    return records[0].run if records else ""


def _changes(old: Record, new: Record) -> Iterator[Change]:
    before, after = cast("dict[str, Any]", old.plain), cast("dict[str, Any]", new.plain)
    if _code(before) != _code(after):
        yield Change(What.CODE, old, new, "", before.get("plan"), after.get("plan"))
    if before.get("agent") != after.get("agent"):
        yield Change(What.AGENT, old, new, "", before.get("agent"), after.get("agent"))
    yield from _values(What.INPUT, old, new, before.get("used", {}), after.get("used", {}))
    if before["status"] != after["status"] or _words(before) != _words(after):
        yield Change(What.STATUS, old, new, "", _status(before), _status(after))
    yield from _values(What.OUTPUT, old, new, before.get("generated", {}), after.get("generated", {}))


def _code(plain: Mapping[str, Any]) -> Any:
    """Return what tells code apart: its hash, and where none is known its function."""
    plan = plain.get("plan", {})
    return plan.get("hash") or plan.get("function")


def _words(plain: Mapping[str, Any]) -> tuple[Any, Any]:
    error = plain.get("error", {})
    return error.get("type"), error.get("message")


def _status(plain: Mapping[str, Any]) -> dict[str, AnyValue]:
    kind, message = _words(plain)
    return {"status": plain["status"]} | ({"type": kind, "message": message} if kind or message else {})


def _values(
    what: What, old: Record, new: Record, before: Mapping[str, AnyValue], after: Mapping[str, AnyValue]
) -> Iterator[Change]:
    if packed(dict(before)) == packed(dict(after)):
        return
    for role in dict.fromkeys((*before, *after)):
        if role not in before or role not in after or not _equal(before[role], after[role]):
            yield Change(what, old, new, role, before.get(role), after.get(role))


def _equal(one: AnyValue, other: AnyValue) -> bool:
    """Say whether two values are the same: numbers of one kind, and references by what they refer to."""
    return packed(one) == packed(other) or canonical_bytes(one) == canonical_bytes(other)


def _explained(
    changes: Iterable[Change], found: Alignment, left: Iterable[Record], right: Iterable[Record]
) -> Iterator[Change]:
    """Say of each change which activities explain it.

    An input is explained where an activity that differs generated it, on either side; an output, a status or an error
    where something else of the activity differs; an output also where an activity that differs ran inside it.
    """
    changes = list(changes)
    generators = _Generators(left, right, changes, found)
    other = {change.right.id for change in changes if change.right and change.what not in {What.OUTPUT, What.STATUS}}
    for change in changes:
        if change.what is What.INPUT:
            yield _with_causes(change, generators.of(change))
        elif change.what in {What.OUTPUT, What.STATUS} and change.right and change.right.id in other:
            yield _with_causes(change, (change.right.id,))
        elif change.what is What.OUTPUT:
            yield _with_causes(change, generators.inside(change))
        else:
            yield change


def _with_causes(change: Change, causes: tuple[str, ...]) -> Change:
    return Change(change.what, change.left, change.right, change.key, change.before, change.after, causes)


class _Generators:
    """Finds the activities that differ and generated an input that differs."""

    def __init__(
        self, left: Iterable[Record], right: Iterable[Record], changes: Iterable[Change], found: Alignment
    ) -> None:
        has_inputs = any(change.what is What.INPUT for change in changes)
        self._sides = (_sources(left), _sources(right)) if has_inputs else ({}, {})
        self._partner = {old.id: new.id for old, new in found.pairs}
        differing = [record for change in changes if (record := change.right or change.left)]
        self._differing = {record.id for record in differing}
        self._inside: dict[str, dict[str, None]] = defaultdict(dict)
        for record in differing:
            self._inside[record.plain.get("parent_id", "")][record.id] = None

    def inside(self, change: Change) -> tuple[str, ...]:
        """Return who differs directly inside the activity of a change."""
        found = [self._inside.get(record.id, {}) for record in (change.left, change.right) if record]
        return tuple(dict.fromkeys(identity for each in found for identity in each))

    def of(self, change: Change) -> tuple[str, ...]:
        """Return who explains an input."""
        return tuple(
            dict.fromkeys(
                identity
                for record, known in zip((change.left, change.right), self._sides, strict=True)
                if record is not None and change.key in record.plain.get("used", {})
                for source in _generated_before(record, change.key, known)
                if (identity := self._partner.get(source.id, source.id)) in self._differing
            )
        )


def _generated_before(user: Record, role: str, known: Mapping[str, Sequence[Record]]) -> Iterator[Record]:
    for key, _ in sorted(data_keys(user.plain, {role: user.plain["used"][role]})):
        for source in known.get(key, ()):
            if source.id != user.id and source.plain.get("ended_at", 0) <= user.plain["started_at"]:
                yield source


def _sources(records: Iterable[Record]) -> Mapping[str, list[Record]]:
    """Return who generated what, by keys of data flow."""
    result: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        for key, _ in data_keys(record.plain, record.plain.get("generated", {})):
            result[key].append(record)
    return result


def _ranked(changes: Iterable[Change], found: Alignment) -> list[Change]:
    """Return causes before what they caused, each in the order of the first run."""
    begin = min((record.plain["started_at"] for record, _ in found.pairs), default=0)
    shift = {new.id: old.plain["started_at"] - begin for old, new in found.pairs}
    origin = min((record.plain["started_at"] for _, record in found.pairs), default=0)

    def place(change: Change) -> tuple[bool, int, str, int, str]:
        record = change.right or change.left
        if record is None:  # of the whole run
            return bool(change.caused_by), -1, "", _ORDER[change.what], change.key
        if change.right is None:
            at = record.plain["started_at"] - begin
        else:
            at = shift.get(record.id, record.plain["started_at"] - origin)
        return bool(change.caused_by), at, record.id, _ORDER[change.what], change.key

    return sorted(changes, key=place)


def _environment(left: Iterable[Record], right: Iterable[Record]) -> dict[str, tuple[list[AnyValue], list[AnyValue]]]:
    before, after = _attributes(left), _attributes(right)
    return {
        key: (list(before.get(key, {}).values()), list(after.get(key, {}).values()))
        for key in sorted({*before, *after} - _OWN)
        if before.get(key, {}).keys() != after.get(key, {}).keys()
    }


def _attributes(records: Iterable[Record]) -> dict[str, dict[bytes, AnyValue]]:
    """Return the values of every resource attribute in a run."""
    result: dict[str, dict[bytes, AnyValue]] = defaultdict(dict)
    seen: set[int] = set()
    for record in records:
        resource = record.plain.get("resource", {})
        if id(resource) not in seen:  # records of one process share theirs
            seen.add(id(resource))
            for key, value in resource.items():
                result[key][canonical_bytes(value)] = value
    return result


def _costs(left: Iterable[Record], right: Iterable[Record], called: Mapping[str, str]) -> Iterator[Cost]:
    before, after = _figures(left, {}), _figures(right, called)
    for name, figure in sorted({*before, *after}):
        yield Cost(name, figure, before.get((name, figure), 0.0), after.get((name, figure), 0.0))


def _figures(records: Iterable[Record], called: Mapping[str, str]) -> dict[tuple[str, str], float]:
    """Return the figures of activities by name; what the other run calls differently goes by its name there."""
    result: dict[tuple[str, str], float] = defaultdict(float)
    for record in records:
        plain, name = record.plain, called.get(record.id, record.name)
        result[name, "tasks"] += 1
        if "ended_at" in plain:
            result[name, "duration"] += (plain["ended_at"] - plain["started_at"]) / 1e9
        for figure, value in plain.get("telemetry", {}).items():
            if not isinstance(value, int | float) or isinstance(value, bool):
                continue
            if _PEAK in figure:
                result[name, figure] = max(result[name, figure], value)
            else:
                result[name, figure] += value
    return result
