"""Queries: MongoDB's operator words from an allow-list, over the plain form of a record, the same on every backend.

A field is a key of `provtel_model.record.PlainRecord`, one of the computed ``id``, ``run`` and ``duration`` (seconds),
or a dotted path into one of its maps and lists (``used.lr``, ``error.type``, ``telemetry.cpu.user``). Keys that
contain dots are found as they are written. Semantics are MongoDB's: a condition on a list holds where it holds for the
list or any element; ``null`` matches what is missing; ``$gt`` and its kin compare only values of one type; ``$ne``,
``$nin`` and ``$not`` match what is missing. Times are compared as nanoseconds; datetimes and ISO 8601 texts are taken
for them. Regular expressions are RE2's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import Any, Final, TypeAlias

from provtel_model.anyvalue import TYPE_KEY, AnyValue
from provtel_model.errors import FilterError
from provtel_model.hashing import canonical_bytes
from provtel_model.record import PlainRecord, as_any_value, key_of, nanoseconds_of, run_of
from provtel_model.values import encode

Predicate: TypeAlias = Callable[[Mapping[str, AnyValue]], bool]

TIME_FIELDS: Final = frozenset({"started_at", "ended_at", "last_seen_at"})
COMPUTED_FIELDS: Final = frozenset({"id", "run", "duration"})
FIELDS: Final = frozenset(PlainRecord.__annotations__) | COMPUTED_FIELDS
OPERATORS: Final = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$regex", "$not")
COMBINATORS: Final = ("$and", "$or")

_MAX_DEPTH: Final = 20


@dataclass(frozen=True, slots=True)
class Query:
    """What a reader is asked for.

    Args:
        where: A filter document.
        sort: ``(field, 1 or -1)`` in order of weight; by default the start, newest first.
        limit: At most so many records; ``None`` for all.

    Raises:
        FilterError: A field or operator is unknown, an operand has the wrong type, the limit is not positive.
    """

    where: Mapping[str, Any] = field(default_factory=dict)
    sort: Sequence[tuple[str, int]] = (("started_at", -1),)
    limit: int | None = None
    matches: Callable[[PlainRecord], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check everything at once, so that a wrong query never reaches a backend."""
        predicate = _document(self.where, 0)
        object.__setattr__(self, "matches", lambda plain: predicate(with_computed(plain)))
        for name, direction in self.sort:
            check_field(name)
            if direction not in {1, -1}:
                msg = f"sort direction of {name!r} is {direction!r}; use 1 (ascending) or -1 (descending)"
                raise FilterError(msg)
        if self.limit is not None and self.limit < 1:
            msg = f"limit is {self.limit}; use a positive number, or none for all"
            raise FilterError(msg)

    def ordered(self, plains: list[PlainRecord]) -> list[PlainRecord]:
        """Return records in the order of this query, cut to its limit; ties are broken by id."""
        plains.sort(key=key_of)
        for name, direction in reversed(self.sort):
            plains.sort(key=partial(_sort_key, path=tuple(name.split("."))), reverse=direction < 0)
        return plains if self.limit is None else plains[: self.limit]


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


def with_computed(plain: PlainRecord) -> Mapping[str, AnyValue]:
    """Return a plain record with the computed fields added."""
    result = dict(as_any_value(plain))
    result["id"], result["run"] = key_of(plain).id, run_of(plain)
    if "ended_at" in plain:
        result["duration"] = (plain["ended_at"] - plain["started_at"]) / 1e9
    return result


def values_at(value: AnyValue, path: tuple[str, ...]) -> Iterator[AnyValue]:
    """Yield the values at a dotted path, through lists as MongoDB does, keys that contain dots included."""
    if not path:
        yield value
    elif isinstance(value, dict):
        for length in range(1, len(path) + 1):
            key = ".".join(path[:length])
            if key in value:
                yield from values_at(value[key], path[length:])
    elif isinstance(value, list):
        if path[0].isdigit() and int(path[0]) < len(value):
            yield from values_at(value[int(path[0])], path[1:])
        for item in value:
            if isinstance(item, dict):
                yield from values_at(item, path)


def comparable(top: str, operand: Any) -> AnyValue:
    """Return an operand in the form in which a field's values are compared with it; a time in nanoseconds.

    Raises:
        FilterError: It has no such form.
    """
    if top in TIME_FIELDS:
        return _time(top, operand)
    try:
        return encode(operand)
    except TypeError:
        msg = f"{operand!r} cannot be compared with: it has no form in a record"
        raise FilterError(msg) from None


def _document(where: object, depth: int) -> Predicate:
    if not isinstance(where, Mapping):
        msg = f"a filter is a map of fields and conditions, not {where!r}"
        raise FilterError(msg)
    if depth > _MAX_DEPTH:
        msg = f"the filter is nested deeper than {_MAX_DEPTH} levels"
        raise FilterError(msg)
    parts = [_clause(name, condition, depth) for name, condition in where.items()]
    return lambda record: all(part(record) for part in parts)


def _clause(name: str, condition: Any, depth: int) -> Predicate:  # operands are of any type
    if name in COMBINATORS:
        if not isinstance(condition, Sequence) or isinstance(condition, str) or not condition:
            msg = f"{name} takes a list of one or more filters, not {condition!r}"
            raise FilterError(msg)
        branches = [_document(branch, depth + 1) for branch in condition]
        combine = all if name == "$and" else any
        return lambda record: combine(branch(record) for branch in branches)
    if name.startswith("$"):
        raise _unknown_operator(name, COMBINATORS)
    check_field(name)
    path = tuple(name.split("."))
    test = _condition(path[0], condition)
    return lambda record: test(list(values_at(dict(record), path)))


_Test: TypeAlias = Callable[[list[AnyValue]], bool]


def _condition(top: str, condition: Any) -> _Test:
    if not isinstance(condition, Mapping) or not any(str(key).startswith("$") for key in condition):
        return _operator(top, "$eq", condition)
    tests = [_operator(top, str(name), operand) for name, operand in condition.items()]
    return lambda found: all(test(found) for test in tests)


def _operator(top: str, name: str, operand: Any) -> _Test:
    if name == "$exists":
        return lambda found: bool(found) == bool(operand)
    if name == "$not":
        inner = _condition(top, operand)
        return lambda found: not inner(found)
    if name in {"$in", "$nin"}:
        return _membership(top, name, operand)
    if name == "$regex":
        return _regex(operand)
    if name in {"$eq", "$ne"}:
        wanted = comparable(top, operand)
        return lambda found: _equals(found, wanted) == (name == "$eq")
    if name in _COMPARISONS:
        return _comparison(top, name, operand)
    raise _unknown_operator(name, OPERATORS)


def _unknown_operator(name: str, known: Sequence[str]) -> FilterError:
    return FilterError(f"unknown operator {name!r}; known here are {', '.join(known)}")


def _membership(top: str, name: str, operand: Any) -> _Test:
    if not isinstance(operand, Sequence) or isinstance(operand, str | bytes):
        msg = f"{name} takes a list, not {operand!r}"
        raise FilterError(msg)
    wanted = [comparable(top, item) for item in operand]
    return lambda found: any(_equals(found, item) for item in wanted) == (name == "$in")


def _regex(operand: Any) -> _Test:
    import re2  # only filters with $regex pay for it

    try:
        pattern = re2.compile(operand)
    except (re2.error, TypeError) as error:
        msg = f"$regex {operand!r} is not a regular expression of RE2: {error}"
        raise FilterError(msg) from None
    return lambda found: any(isinstance(value, str) and bool(pattern.search(value)) for value in _each(found))


def _time(top: str, operand: Any) -> AnyValue:
    if isinstance(operand, str):
        try:
            operand = dt.datetime.fromisoformat(operand)
        except ValueError:
            msg = f"{top} is compared with a time such as 2026-05-01T12:00:00+00:00, not {operand!r}"
            raise FilterError(msg) from None
    return nanoseconds_of(operand) if isinstance(operand, dt.datetime) else operand


def _each(found: list[AnyValue]) -> Iterator[AnyValue]:
    for value in found:
        yield value
        if isinstance(value, list):
            yield from value


def _equals(found: list[AnyValue], wanted: AnyValue) -> bool:
    if wanted is None:
        return not found or any(value is None for value in _each(found))
    return any(_same(value, wanted) for value in _each(found))


def _same(value: AnyValue, wanted: AnyValue) -> bool:
    if _is_number(value) and _is_number(wanted):
        return value == wanted
    return type(value) is type(wanted) and canonical_bytes(value) == canonical_bytes(wanted)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$gt": lambda value, wanted: value > wanted,
    "$gte": lambda value, wanted: value >= wanted,
    "$lt": lambda value, wanted: value < wanted,
    "$lte": lambda value, wanted: value <= wanted,
}


def _comparison(top: str, name: str, operand: Any) -> _Test:
    wanted = comparable(top, operand)
    compare = _COMPARISONS[name]
    if wanted is None or isinstance(wanted, list | dict):
        msg = f"{name} compares numbers, texts, bytes, booleans and times, not {operand!r}"
        raise FilterError(msg)
    return lambda found: any(_comparable(value, wanted) and compare(value, wanted) for value in _each(found))


def _comparable(value: AnyValue, wanted: AnyValue) -> bool:
    return (_is_number(value) and _is_number(wanted)) or type(value) is type(wanted)


def _sort_key(plain: PlainRecord, path: tuple[str, ...]) -> tuple[int, Any]:
    value = next(values_at(dict(with_computed(plain)), path), None)
    if value is None:
        return (0, 0)
    if _is_number(value):
        return (1, value)
    if isinstance(value, str):
        return (2, value)
    if isinstance(value, dict):
        return (3 if TYPE_KEY not in value else 4, canonical_bytes(value))
    if isinstance(value, list):
        return (5, canonical_bytes(value))
    return (6, value) if isinstance(value, bytes) else (7, value)
