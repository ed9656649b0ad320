"""Queries: MongoDB's operator words from an allow-list, over the plain form of a record, the same on every backend.

A field is a key of `provtel_model.record.PlainRecord`, one of the computed ``id``, ``run`` and ``duration`` (seconds),
or a dotted path into one of its maps and lists (``used.lr``, ``error.type``, ``telemetry.cpu.user``). Keys that
contain dots are found as they are written. Semantics are MongoDB's: a condition on a list holds where it holds for the
list or any element; ``null`` matches what is missing; ``$gt`` and its kin compare only values of one type, bytes by
length first; ``$ne``, ``$nin`` and ``$not`` match what is missing. Two things are not MongoDB's: maps are equal
whatever the order of their keys, and a list sorts by its bytes, not by its least element. Times are compared as
nanoseconds; datetimes and ISO 8601 texts are taken for them. Regular expressions are RE2's.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from provtel_model.anyvalue import TYPE_KEY, AnyValue
from provtel_model.errors import FilterError
from provtel_model.fields import (
    MISSING,
    TIME_FIELDS,
    by_length,
    check_field,
    elements,
    is_nan,
    is_number,
    order_at,
    with_computed,
)
from provtel_model.hashing import canonical_bytes
from provtel_model.paging import Place, project
from provtel_model.record import PlainRecord, key_of, nanoseconds_of
from provtel_model.values import encode

Predicate: TypeAlias = Callable[[dict[str, AnyValue]], bool]

OPERATORS: Final = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$regex", "$not")
COMBINATORS: Final = ("$and", "$or")
NEWEST_FIRST: Final = (("started_at", -1),)

_MAX_DEPTH: Final = 20


@dataclass(frozen=True, slots=True)
class Query:
    """What a reader is asked for.

    Args:
        where: A filter document.
        sort: ``(field, 1 or -1)`` in order of weight; by default the start, newest first. A field that comes again
            is left out: it could change nothing.
        limit: At most so many records; ``None`` for all.
        after: What `cursor` returned for the last record of the page before: what comes after it in the same order.
            Records that are written meanwhile shift nothing.
        fields: The fields that are wanted, dotted paths included; ``None`` for whole records. What every record has is
            always there.

    Attributes:
        matches: Says whether a record matches the filter.
        selects: Says whether it does, and comes after the cursor.

    Raises:
        FilterError: A field or operator is unknown, an operand has the wrong type, the limit is not positive, the
            cursor is none of this order.
    """

    where: Mapping[str, Any] = field(default_factory=dict)
    sort: Sequence[tuple[str, int]] = NEWEST_FIRST
    limit: int | None = None
    after: str | None = None
    fields: Sequence[str] | None = None
    matches: Callable[[PlainRecord], bool] = field(init=False, repr=False, compare=False)
    selects: Callable[[PlainRecord], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check everything at once, so that a wrong query never reaches a backend."""
        predicate = _document(self.where, 0)
        object.__setattr__(self, "matches", lambda plain: predicate(with_computed(plain)))
        weights: dict[str, int] = {}
        for name, direction in self.sort:
            check_field(name)
            if direction not in {1, -1}:
                msg = f"sort direction of {name!r} is {direction!r}; use 1 (ascending) or -1 (descending)"
                raise FilterError(msg)
            weights.setdefault(name, direction)
        object.__setattr__(self, "sort", tuple(weights.items()))
        if self.limit is not None and self.limit < 1:
            msg = f"limit is {self.limit}; use a positive number, or none for all"
            raise FilterError(msg)
        for name in self.fields or ():
            check_field(name)
        place = None if self.after is None else Place.parse(self.after, len(self.sort))
        selects = (
            self.matches if place is None else lambda plain: self.matches(plain) and place.precedes(plain, self.sort)
        )
        object.__setattr__(self, "selects", selects)

    def cursor(self, plain: PlainRecord) -> str:
        """Return the place of a record in this order, for `after` of the next page."""
        return str(Place.of(plain, self.sort))

    def projected(self, plain: PlainRecord) -> PlainRecord:
        """Return a record with the fields that are wanted."""
        return plain if self.fields is None else project(plain, self.fields)

    def answer(self, plains: Iterable[PlainRecord]) -> list[PlainRecord]:
        """Return what this query selects of some records, in its order, with its fields; the reference."""
        return [self.projected(plain) for plain in self.ordered([plain for plain in plains if self.selects(plain)])]

    def ordered(self, plains: list[PlainRecord]) -> list[PlainRecord]:
        """Return records in the order of this query, cut to its limit; ties are broken by id."""
        plains.sort(key=key_of)
        for name, direction in reversed(self.sort):
            plains.sort(key=partial(order_at, path=tuple(name.split("."))), reverse=direction < 0)
        return plains if self.limit is None else plains[: self.limit]


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
    _check_depth(depth)
    parts = [_clause(name, condition, depth) for name, condition in where.items()]
    return lambda record: all(part(record) for part in parts)


def _check_depth(depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise FilterError(f"the filter is nested deeper than {_MAX_DEPTH} levels")


def _clause(name: Any, condition: Any, depth: int) -> Predicate:  # operands are of any type
    if not isinstance(name, str):
        raise FilterError(f"unknown field {name!r}; a field is a text")
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
    test = _condition(path[0], condition, depth)
    if len(path) == 1:
        return lambda record: test([record.get(name, MISSING)])
    return lambda record: test(list(elements(record, path)))


_Test: TypeAlias = Callable[[list[Any]], bool]


class Condition(NamedTuple):
    """One operator of a condition on a field.

    Args:
        operator: Its word.
        operand: What stands behind it.
        holds: Says whether the values at the field's path, `provtel_model.fields.elements` of a record, meet it.
    """

    operator: str
    operand: Any
    holds: Callable[[list[Any]], bool]


def conditions_on(name: str, condition: Any) -> list[Condition]:
    """Return what a condition of a checked filter asks of a field, one operator each; all of them must hold."""
    top = name.partition(".")[0]
    operators = condition if _has_operators(condition) else {"$eq": condition}
    return [Condition(word, operand, _operator(top, word, operand, 0)) for word, operand in operators.items()]


def _condition(top: str, condition: Any, depth: int) -> _Test:
    if not _has_operators(condition):
        return _operator(top, "$eq", condition, depth)
    tests = [_operator(top, str(name), operand, depth) for name, operand in condition.items()]
    return lambda found: all(test(found) for test in tests)


def _has_operators(condition: Any) -> bool:
    return isinstance(condition, Mapping) and any(str(key).startswith("$") for key in condition)


def _operator(top: str, name: str, operand: Any, depth: int) -> _Test:
    if name == "$exists":
        return lambda found: any(value is not MISSING for value in found) == bool(operand)
    if name == "$not":
        return _negation(top, operand, depth + 1)
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


def _negation(top: str, operand: Any, depth: int) -> _Test:
    if not _has_operators(operand):
        raise FilterError(f"$not takes a map of operators, such as {{'$gt': 5}}, not {operand!r}")
    _check_depth(depth)
    inner = _condition(top, operand, depth)
    return lambda found: not inner(found)


def _unknown_operator(name: str, known: Sequence[str]) -> FilterError:
    return FilterError(f"unknown operator {name!r}; known here are {', '.join(known)}")


def _membership(top: str, name: str, operand: Any) -> _Test:
    if not isinstance(operand, Sequence) or isinstance(operand, str | bytes):
        msg = f"{name} takes a list, not {operand!r}"
        raise FilterError(msg)
    wanted = [comparable(top, item) for item in operand]
    texts = {item for item in wanted if isinstance(item, str)}  # many ids are asked for at once
    others = [item for item in wanted if not isinstance(item, str)]

    def is_one(found: list[Any]) -> bool:
        among = any(isinstance(value, str) and value in texts for value in _each(found))
        return among or any(_equals(found, item) for item in others)

    return lambda found: is_one(found) == (name == "$in")


def _regex(operand: Any) -> _Test:
    import re2  # only filters with $regex pay for it

    try:
        pattern = re2.compile(operand) if isinstance(operand, str) else None
    except re2.error as error:
        raise FilterError(f"$regex {operand!r} is not a regular expression of RE2: {error}") from None
    if pattern is None:
        raise FilterError(f"$regex {operand!r} is not a regular expression: it is no text")
    return lambda found: any(isinstance(value, str) and bool(pattern.search(value)) for value in _each(found))


def _time(top: str, operand: Any) -> AnyValue:
    if isinstance(operand, str):
        try:
            operand = dt.datetime.fromisoformat(operand)
        except ValueError:
            msg = f"{top} is compared with a time such as 2026-05-01T12:00:00+00:00, not {operand!r}"
            raise FilterError(msg) from None
    return nanoseconds_of(operand) if isinstance(operand, dt.datetime) else operand


def _each(found: list[Any]) -> Iterator[Any]:
    for value in found:
        yield value
        if isinstance(value, list):
            yield from value


def _equals(found: list[Any], wanted: AnyValue) -> bool:
    if wanted is None:
        return any(value is None or value is MISSING for value in _each(found))
    return any(_same(value, wanted) for value in _each(found))


def _same(value: Any, wanted: AnyValue) -> bool:
    if is_number(value) and is_number(wanted):
        return bool(value == wanted) or (is_nan(value) and is_nan(wanted))
    if type(value) is not type(wanted):
        return False
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    if isinstance(value, dict) and isinstance(wanted, dict):
        return _same_map(value, wanted)
    return bool(value == wanted)


def _same_map(value: dict[str, AnyValue], wanted: dict[str, AnyValue]) -> bool:
    if TYPE_KEY in wanted and canonical_bytes(value) == canonical_bytes(wanted):  # references are what they refer to
        return True
    return value.keys() == wanted.keys() and all(_same(value[key], wanted[key]) for key in wanted)


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def _comparison(top: str, name: str, operand: Any) -> _Test:
    wanted = comparable(top, operand)
    if wanted is None or isinstance(wanted, list | dict):
        raise FilterError(f"{name} compares numbers, texts, bytes, booleans and times, not {operand!r}")
    if is_nan(wanted):  # equal to itself, and in no order with any other number
        return lambda found: name in {"$gte", "$lte"} and any(map(is_nan, _each(found)))
    compare, measure = _COMPARISONS[name], by_length if isinstance(wanted, bytes) else _as_it_is
    limit = measure(wanted)
    return lambda found: any(_is_like(value, wanted) and compare(measure(value), limit) for value in _each(found))


def _is_like(value: object, wanted: AnyValue) -> bool:
    return (is_number(value) and is_number(wanted)) or type(value) is type(wanted)


def _as_it_is(value: Any) -> Any:
    return value
