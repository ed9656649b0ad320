"""What the columns of a block say of a filter: which rows match for sure, and which may.

A set of rows is one byte a row, 1 or 0.
"""

from __future__ import annotations

import math
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeAlias

from provtel_model.fields import MISSING, elements, is_nan, is_number
from provtel_model.filters import COMBINATORS, Condition, comparable, conditions_on

from provtel_exporters.lmdb.index.block import MAPS, PARTS, TRACE, Block
from provtel_exporters.lmdb.index.columns import Column, column_of
from provtel_exporters.lmdb.index.kernels import LAST, both, compare, either, map_codes, outside, seconds, spread
from provtel_exporters.lmdb.packing import ORIGIN
from provtel_exporters.lmdb.rows import ACTIVITY, RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from provtel_exporters.lmdb.parts import Parts

PARTS_OF: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    field: (name, fields) for name, fields in zip(PARTS, (ORIGIN, ACTIVITY, RUN), strict=False) for field in fields
}
"""The fields in interned parts: the column of the part's number, and the fields of the part."""
_SHAPE: Final = PARTS[3]
_NOT_LISTED: Final = frozenset({"events", "links", "parent_id", "tags"})
_COMPARING: Final = frozenset({"$gt", "$gte", "$lt", "$lte"})
_ASK: Final = 2  # in a mask: the record is to be asked
_IN_ORDER: Final = _COMPARING | {"$eq"}
_SPAN_DIGITS: Final = 16
_INTEGERS: Final = range(-(2**63), 2**63)
Read: TypeAlias = "Callable[[str, Any], list[Condition]]"
"""Returns what a condition asks of a field, as `conditions_on` does."""


def reading_once() -> Read:
    """Return `conditions_on` that reads each condition of one filter once, however many blocks it is asked of."""
    known: dict[tuple[str, int], list[Condition]] = {}

    def read(name: str, condition: Any) -> list[Condition]:
        at = name, id(condition)  # the filter keeps it, so that no other gets its id
        if at not in known:
            known[at] = conditions_on(name, condition)
        return known[at]

    return read


class Bounds(NamedTuple):
    """Two sets of rows: those that match for sure, and those that may, which include them."""

    sure: bytes
    maybe: bytes

    @classmethod
    def exactly(cls, rows: bytes) -> Self:
        """Return the bounds of rows that match for sure, where no others may."""
        return cls(rows, rows)

    @property
    def are_exact(self) -> bool:
        """Say whether no record is to be asked."""
        return self.sure is self.maybe or self.sure == self.maybe

    @property
    def doubtful(self) -> bytes:
        """The rows whose records are to be asked."""
        return outside(self.maybe, self.sure)

    def both(self, other: Bounds) -> Bounds:
        """Return the rows that match this and something else."""
        return self._with(other, both)

    def either(self, other: Bounds) -> Bounds:
        """Return the rows that match this or something else."""
        return self._with(other, either)

    def outside(self, rows: bytes) -> Bounds:
        """Return those of some rows that do not match."""
        sure = outside(rows, self.maybe)
        return Bounds(sure, sure if self.are_exact else outside(rows, self.sure))

    def _with(self, other: Bounds, combined: Callable[[bytes, bytes], bytes]) -> Bounds:
        sure = combined(self.sure, other.sure)
        return Bounds(sure, sure if self.are_exact and other.are_exact else combined(self.maybe, other.maybe))


class Conditions:
    """Filters over one block.

    Args:
        block: The block.
        parts: The interned parts of the store.
        read: Reads a condition: what `reading_once` returned for the filter.
    """

    def __init__(self, block: Block, parts: Parts, read: Read) -> None:
        self._block = block
        self._parts = parts
        self._read = read
        self._all = Bounds.exactly(b"\1" * block.count)
        self._none = Bounds.exactly(bytes(block.count))

    def matching(self, where: Mapping[str, Any]) -> Bounds:
        """Return which rows match a filter that `provtel_model.filters.Query` has accepted."""
        conditions = sorted(where.items(), key=_weight)
        return self._all_of(partial(self._clause, name, condition) for name, condition in conditions)

    def _clause(self, name: str, condition: Any) -> Bounds:
        if name not in COMBINATORS:
            return self._field(name, condition)
        branches = sorted(condition, key=lambda branch: "started_at" not in branch)
        if name == "$and":
            return self._all_of(partial(self.matching, branch) for branch in branches)
        return reduce(Bounds.either, map(self.matching, branches))

    def _all_of(self, parts: Iterable[Callable[[], Bounds]]) -> Bounds:
        """Return the rows that match all of some parts; once none is left, no other part is looked at."""
        found = self._all
        for part in parts:
            one = part()
            found = one if found is self._all else found.both(one)
            if 1 not in found.maybe:
                return self._none
        return found

    def _field(self, name: str, condition: Any) -> Bounds:
        return self._all_of(partial(self._condition, name, one) for one in self._read(name, condition))

    def _condition(self, name: str, condition: Condition) -> Bounds:
        if condition.operator == "$not":
            return self._field(name, condition.operand).outside(self._all.sure)
        if condition.operator in {"$in", "$nin"} and name in {"id", "span_id"}:
            found = reduce(Bounds.either, [self._field(name, item) for item in condition.operand], self._none)
            return found if condition.operator == "$in" else found.outside(self._all.sure)
        top, *rest = name.split(".")
        return _FIELDS.get(top, Conditions._any_field)(self, top, tuple(rest), condition)

    def _started_at(self, top: str, rest: tuple[str, ...], condition: Condition) -> Bounds:
        if rest:
            return self._constant(condition.holds([MISSING]))
        if condition.operator in _COMPARING:
            ends = [condition.holds([moment]) for moment in (self._block.earliest, self._block.latest)]
            if not any(ends) or all(ends):  # so do all moments between them
                return self._constant(all(ends))
        mask = numbers_that_meet(self._block.starts, "Q", top, condition)
        return Bounds.exactly(mask)

    def _duration(self, top: str, rest: tuple[str, ...], condition: Condition) -> Bounds:
        column = durations(self._block)
        return self._column(column, top, rest, condition) if column else self._constant(condition.holds([MISSING]))

    def _trace_id(self, _top: str, rest: tuple[str, ...], condition: Condition) -> Bounds:
        return self._coded(
            self._block.columns[TRACE], lambda trace: condition.holds([*elements(trace.hex(), rest)]), missing=False
        )

    def _span_id(self, _top: str, rest: tuple[str, ...], condition: Condition) -> Bounds:
        if rest or condition.operator not in _IN_ORDER:
            return self._doubt() if not rest else self._constant(condition.holds([MISSING]))
        return Bounds.exactly(self._spans_that_meet("", condition))

    def _id(self, _top: str, rest: tuple[str, ...], condition: Condition) -> Bounds:
        if rest:
            return self._constant(condition.holds([MISSING]))
        if condition.operator not in _IN_ORDER:
            return self._doubt()
        column = self._block.columns[TRACE]
        whole: set[int] = set()
        cut: dict[int, str] = {}
        for number, trace in enumerate(column.values[1:], 1):
            prefix = trace.hex() + "-"
            first, last = (condition.holds([prefix + digit * _SPAN_DIGITS]) for digit in "0f")
            if first != last or (condition.operator == "$eq" and str(condition.operand).startswith(prefix)):
                cut[number] = prefix
            elif first:
                whole.add(number)
        found = self._rows_with(column, whole.__contains__)
        for number, prefix in cut.items():
            rows = self._rows_with(column, number.__eq__)
            found = either(found, both(rows, self._spans_that_meet(prefix, condition)))
        return Bounds.exactly(found)

    def _run(self, _top: str, rest: tuple[str, ...], condition: Condition) -> Bounds:
        number, place = self._block.columns[PARTS[2]], RUN.index("workflow_id")
        named = self._coded(number, lambda part: bool(self._parts[part][place]), missing=False).sure
        of_run = self._coded(
            number, lambda part: condition.holds([*elements(self._parts[part][place], rest)]), missing=False
        ).sure
        of_trace = self._trace_id("trace_id", rest, condition).sure
        return Bounds.exactly(either(both(named, of_run), outside(of_trace, named)))

    def _in_parts(self, top: str, rest: tuple[str, ...], condition: Condition) -> Bounds:
        name, fields = PARTS_OF[top]
        place = fields.index(top)

        def holds(number: int) -> bool:
            value = self._parts[number][place]
            return condition.holds([MISSING] if value is None else [*elements(value, rest)])

        return self._coded(self._block.columns[name], holds, missing=False)

    def _any_field(self, top: str, rest: tuple[str, ...], condition: Condition) -> Bounds:
        if top in MAPS and rest:
            return self._in_map(top, rest, condition)
        if top in MAPS or top in _NOT_LISTED:
            return self._presence(top, condition)
        column = self._block.columns.get(top)
        return self._column(column, top, rest, condition) if column else self._constant(condition.holds([MISSING]))

    def _in_map(self, top: str, rest: tuple[str, ...], condition: Condition) -> Bounds:
        """Look into the column of a key; what a shorter key has may lie deeper, and must be asked."""
        prefixes = [".".join(rest[:length]) for length in range(1, len(rest))]
        doubtful = self._none.sure
        for prefix in prefixes:
            column = self._block.columns.get(f"{top}\0{prefix}")
            if column is not None:
                doubtful = either(doubtful, self._has(column))
        column = self._block.columns.get(f"{top}\0{'.'.join(rest)}")
        found = (
            self._constant(condition.holds([MISSING])) if column is None else self._column(column, top, (), condition)
        )
        return found if 1 not in doubtful else Bounds(outside(found.sure, doubtful), either(found.maybe, doubtful))

    def _presence(self, top: str, condition: Condition) -> Bounds:
        """Decide by whether a field is there at all; where it is, the record must be asked."""
        there = self._coded(
            self._block.columns[_SHAPE], lambda number: _is_in(self._parts[number], top), missing=False
        ).sure
        if condition.operator == "$exists":
            return Bounds.exactly(there if condition.operand else outside(self._all.sure, there))
        if condition.holds([MISSING]):
            return Bounds(outside(self._all.sure, there), self._all.sure)
        return Bounds(self._none.sure, there)

    def _column(self, column: Column, top: str, rest: tuple[str, ...], condition: Condition) -> Bounds:
        missing = condition.holds([MISSING])
        if not column.is_numeric:
            return self._coded(column, lambda value: condition.holds([*elements(value, rest)]), missing=missing)
        if rest:
            return self._constant(missing)
        mask = numbers_that_meet(column.data, column.code, top, condition)
        return Bounds.exactly(_spread(column, mask, missing=missing))

    def _coded(self, column: Column, holds: Callable[[Any], bool], *, missing: bool) -> Bounds:
        known = [holds(value) for value in column.values[1:]]
        if column.is_constant:
            return Bounds.exactly(_spread(column, bytes(known[:1]) * len(column.rows), missing=missing))
        mask = map_codes(column.data, column.code, bytes([_ASK, *known]))
        if _ASK not in mask:
            return Bounds.exactly(_spread(column, mask, missing=missing))
        sure, maybe = (mask.translate(bytes([0, 1, answer]) + bytes(253)) for answer in (0, 1))
        return Bounds(_spread(column, sure, missing=missing), _spread(column, maybe, missing=missing))

    def _rows_with(self, column: Column, holds: Callable[[int], bool]) -> bytes:
        """Return the rows whose code meets a condition."""
        if column.is_constant:
            return _spread(column, bytes([holds(1)]) * len(column.rows), missing=False)
        mask = map_codes(column.data, column.code, bytes(map(holds, range(len(column.values)))))
        return _spread(column, mask, missing=False)

    def _has(self, column: Column) -> bytes:
        return _spread(column, b"\1" * len(column.rows), missing=False)

    def _spans_that_meet(self, prefix: str, condition: Condition) -> bytes:
        """Return the mask of the rows whose span id, behind a prefix, compares as an operator says."""
        low, high = _interval(lambda span: condition.holds([f"{prefix}{span:016x}"]), prefix, condition)
        if low > high:
            return self._none.sure
        return both(compare(self._block.spans, "Q", "$gte", low), compare(self._block.spans, "Q", "$lte", high))

    def _constant(self, holds: bool) -> Bounds:  # noqa: FBT001  # what a predicate said
        return self._all if holds else self._none

    def _doubt(self) -> Bounds:
        return Bounds(self._none.sure, self._all.sure)


_FIELDS: Final[dict[str, Callable[[Conditions, str, tuple[str, ...], Condition], Bounds]]] = {
    "started_at": Conditions._started_at,  # noqa: SLF001  # its own class
    "duration": Conditions._duration,  # noqa: SLF001
    "trace_id": Conditions._trace_id,  # noqa: SLF001
    "span_id": Conditions._span_id,  # noqa: SLF001
    "id": Conditions._id,  # noqa: SLF001
    "run": Conditions._run,  # noqa: SLF001
    **dict.fromkeys(PARTS_OF, Conditions._in_parts),  # noqa: SLF001
}


def _weight(item: tuple[str, Any]) -> bool:
    """Put a condition on the start first: it rules out whole blocks."""
    return item[0] != "started_at"


def _spread(column: Column, mask: bytes, *, missing: bool) -> bytes:
    return mask if column.present is None else spread(column.count, column.present, mask, missing)


def durations(block: Block) -> Column | None:
    """Return the column of durations, in seconds; ``None`` where nothing has ended."""
    column = block.columns.get("ended_at")
    if column is None:
        return None
    if column.code == "q":
        return Column(block.count, "d", seconds(block.starts, column.data, column.present), column.present)
    starts = memoryview(block.starts).cast("B").cast("Q")
    rows, ends = column.rows, column.items()
    return column_of(block.count, rows, [(end - starts[row]) / 1e9 for row, end in zip(rows, ends, strict=True)])


def numbers_that_meet(values: Any, code: str, top: str, condition: Condition) -> bytes:
    """Return a mask of the numbers that meet a condition, which compares them or is the same for all."""
    word, operand = condition.operator, condition.operand
    count = len(memoryview(values).cast("B").cast(code))  # type: ignore[call-overload]  # codes are text
    if word in {"$in", "$nin"}:
        mask = bytes(count)
        for item in operand:
            mask = either(mask, _compared(values, code, "$eq", comparable(top, item), count))
        return mask if word == "$in" else _negated(mask)
    if word == "$ne":
        return _negated(_compared(values, code, "$eq", comparable(top, operand), count))
    if word in _IN_ORDER:
        return _compared(values, code, word, comparable(top, operand), count)
    return bytes([condition.holds([0])]) * count


def _negated(mask: bytes) -> bytes:
    return mask.translate(b"\1\0" + bytes(254))


def _compared(values: Any, code: str, word: str, operand: Any, count: int) -> bytes:
    if is_nan(operand):
        items = memoryview(values).cast("B").cast(code)  # type: ignore[call-overload]  # codes are text
        return bytes([word in {"$eq", "$gte", "$lte"} and value != value for value in items])  # noqa: PLR0124
    if not is_number(operand):
        return bytes(count)
    word, limit = _as_double(word, operand) if code == "d" else _as_integer(word, operand)
    if not word:
        return bytes(count)
    if code != "d" and limit not in (range(2**64) if code == "Q" else _INTEGERS):
        return bytes([(limit > 0) == (word in {"$lt", "$lte"}) and word != "$eq"]) * count
    return compare(values, code, word, limit)


def _as_integer(word: str, operand: float) -> tuple[str, int]:
    """Return an operator and an integer that compare with every integer as a number does."""
    if isinstance(operand, int):
        return word, operand
    if math.isinf(operand):
        return ("" if word == "$eq" else word), 2**64 if operand > 0 else -(2**64)
    if word == "$eq":
        return (word, int(operand)) if operand.is_integer() else ("", 0)
    return word, math.floor(operand) if word in {"$lte", "$gt"} else math.ceil(operand)


def _as_double(word: str, operand: float) -> tuple[str, float]:
    """Return an operator and a double that compare with every double as a number does."""
    try:
        limit = float(operand)
    except OverflowError:
        limit = math.inf if operand > 0 else -math.inf
    if limit == operand:
        return word, limit
    if word == "$eq":
        return "", 0.0
    is_above = limit > operand
    if word in {"$lt", "$lte"}:
        return ("$lt" if is_above else "$lte"), limit
    return ("$gte" if is_above else "$gt"), limit


def _interval(holds: Callable[[int], bool], prefix: str, condition: Condition) -> tuple[int, int]:
    """Return the first and the last span id that an operator holds for; the first is the greater where none is."""
    if condition.operator == "$eq":
        text = condition.operand
        span = text[len(prefix) :] if isinstance(text, str) and text.startswith(prefix) else ""
        try:
            number = int(span, 16) if len(span) == _SPAN_DIGITS else 0
        except ValueError:
            return 1, 0
        return (number, number) if holds(number) else (1, 0)
    at_ends = holds(0), holds(LAST)
    if at_ends[0] == at_ends[1]:
        return (0, LAST) if at_ends[0] else (1, 0)
    low, high = 0, LAST  # `holds` changes once between them
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) == at_ends[0] else (low, middle)
    return (0, low) if at_ends[0] else (high, LAST)


def _is_in(shape: Any, top: str) -> bool:
    return any((key if type(key) is str else key[0]) == top for key in shape)


def rows_in(rows: bytes) -> Iterator[int]:
    """Yield the places of a set of rows, in order."""
    place = rows.find(1)
    while place >= 0:
        yield place
        place = rows.find(1, place + 1)
