"""Fields of records: which there are, what lies at a dotted path, and the order of what lies there."""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import FilterError
from provtel_model.hashing import canonical_bytes
from provtel_model.record import PlainRecord, as_any_value, key_of, run_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.anyvalue import AnyValue

TIME_FIELDS: Final = frozenset({"started_at", "ended_at", "last_seen_at"})
COMPUTED_FIELDS: Final = frozenset({"id", "run", "duration"})
FIELDS: Final = frozenset(PlainRecord.__annotations__) | COMPUTED_FIELDS
MISSING: Final = object()
"""Stands for a value where there is none."""
_INDEX: Final = re.compile("[0-9]{1,9}")


def check_field(name: str) -> None:
    """Accept a field or a dotted path into one.

    Raises:
        FilterError: The first part is no field; the nearest known one is named.
    """
    top = name.partition(".")[0]
    if top not in FIELDS:
        near = get_close_matches(top, FIELDS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known fields are {', '.join(sorted(FIELDS))}"
        msg = f"unknown field {name!r}; {hint}"
        raise FilterError(msg)


def with_computed(plain: PlainRecord) -> dict[str, AnyValue]:
    """Return a plain record with the computed fields added."""
    result = dict(as_any_value(plain))
    result["id"], result["run"] = key_of(plain).id, run_of(plain)
    if "ended_at" in plain:
        result["duration"] = (plain["ended_at"] - plain["started_at"]) / 1e9
    return result


def values_at(value: AnyValue, path: tuple[str, ...]) -> Iterator[AnyValue]:
    """Yield the values at a dotted path, through lists as MongoDB does, keys that contain dots included."""
    return (found for found in elements(value, path) if found is not MISSING)


def elements(value: AnyValue, path: tuple[str, ...]) -> Iterator[Any]:
    """Yield the values at a path, and `MISSING` for each map or scalar where it ends too early."""
    if not path:
        yield value
    elif isinstance(value, dict):
        keys = ((".".join(path[:length]), length) for length in range(1, len(path) + 1))
        found = [(key, length) for key, length in keys if key in value]
        for key, length in found:
            yield from elements(value[key], path[length:])
        if not found:
            yield MISSING
    elif isinstance(value, list):
        yield from _elements_of_list(value, path)
    else:
        yield MISSING


def _elements_of_list(items: list[AnyValue], path: tuple[str, ...]) -> Iterator[Any]:
    if _INDEX.fullmatch(path[0]) and int(path[0]) < len(items):
        item = items[int(path[0])]
        if len(path) == 1 or isinstance(item, list | dict):
            yield from elements(item, path[1:])
    for item in items:
        if isinstance(item, dict):
            yield from elements(item, path)


def order_at(plain: PlainRecord, path: tuple[str, ...]) -> tuple[int, Any]:
    """Return the place of a record in a sort by the first value at a path."""
    if len(path) == 1 and path[0] not in COMPUTED_FIELDS:
        return order_of(as_any_value(plain).get(path[0]))
    return order_of(next(values_at(with_computed(plain), path), None))


def order_of(value: AnyValue) -> tuple[int, Any]:
    """Return the place of a value in sorts: nulls, numbers, texts, maps, lists, bytes, truth values."""
    if value is None:
        return (0, 0)
    if is_number(value):
        return (1, (0, 0) if is_nan(value) else (1, value))
    if isinstance(value, str):
        return (2, value)
    if isinstance(value, dict):
        return (3, canonical_bytes(value))
    if isinstance(value, list):
        return (4, canonical_bytes(value))
    return (5, by_length(value)) if isinstance(value, bytes) else (6, value)


def is_number(value: object) -> bool:
    """Say whether a value is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_nan(value: object) -> bool:
    """Say whether a value is the number that is none."""
    return isinstance(value, float) and math.isnan(value)


def by_length(value: Any) -> Any:
    """Return what bytes are compared by, as MongoDB does: their length first."""
    return len(value), value
