"""Columns: what the records of a block have at one field, so that filters, sorts and figures need not read records.

Numbers lie one beside the other, in as few bytes as the largest needs. Everything else is a code into the list of the
different values; code 0 is a value too large for that list, or a list or map, for which the record must be asked. A
column of one value for all rows has no codes. Where only some rows have a value, their numbers lie beside the column.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import ormsgpack
from provtel_model.compiled import load

from provtel_exporters.lmdb.index.kernels import map_codes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UNKNOWN: Final = object()
"""Stands for a value that the column does not hold."""

_LARGEST_VALUE: Final = 128
_RESERVED: Final = 4  # the lowest integers, whose ranks mean something else
_WIDTHS: Final = (("b", 7), ("h", 15), ("i", 31), ("q", 63))
_FEW: Final = 2**8
_CODES: Final = (("B", _FEW), ("H", 2**16), ("I", 2**32))
_CODED: Final = frozenset(code for code, _ in _CODES)
_NUMBERS: Final = frozenset("bhiqd")
_TELL_THEMSELVES: Final = frozenset({str, bytes, bool, int})
"""The types of which equal values are packed equally, so that they need not be packed to be told from each other."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a block.

    Args:
        count: How many rows the block has.
        code: The type of `data`: ``b``, ``h``, ``i``, ``q`` or ``d`` for numbers, ``B``, ``H`` or ``I`` for codes.
        data: Numbers or codes, one for each row that has a value; empty where all have the same.
        present: The rows (H) that have a value; ``None`` where all do.
        packed: The different values, packed; empty for numbers.
    """

    count: int
    code: str
    data: Any
    present: Any = None
    packed: Any = b""
    _values: list[list[Any]] = field(default_factory=list, compare=False)

    @property
    def is_numeric(self) -> bool:
        """Say whether it holds numbers."""
        return self.code in _NUMBERS

    @property
    def values(self) -> list[Any]:
        """The different values, by code; `UNKNOWN` is the first."""
        if not self._values:
            self._values.append([UNKNOWN, *ormsgpack.unpackb(self.packed)])
        return self._values[0]

    @property
    def is_constant(self) -> bool:
        """Say whether all rows that have a value have the same, which has code 1."""
        return not self.is_numeric and not len(self.data)

    @property
    def rows(self) -> Sequence[int]:
        """The rows that have a value."""
        return range(self.count) if self.present is None else memoryview(self.present).cast("B").cast("H").tolist()

    def item(self, row: int) -> Any:
        """Return the value of a row; ``None`` where it has none."""
        place = row
        if self.present is not None:
            rows = memoryview(self.present).cast("B").cast("H")
            place = bisect_left(rows, row)
            if place == len(rows) or rows[place] != row:
                return None
        if self.is_constant:
            return self.values[1]
        item = memoryview(self.data).cast("B").cast(self.code)[place]  # type: ignore[call-overload]  # codes are text
        return self.values[item] if self.code in _CODED else item

    def items(self) -> list[Any]:
        """Return the values of the rows that have one, in order."""
        if self.is_constant:
            return self.values[1:2] * len(self.rows)
        items = memoryview(self.data).cast("B").cast(self.code).tolist()  # type: ignore[call-overload]  # codes are text
        return items if self.is_numeric else [*map(self.values.__getitem__, items)]


def column_of(count: int, rows: Sequence[int], items: Sequence[Any], *, listed: bool = False) -> Column:
    """Return the column of a block.

    Args:
        count: How many rows the block has.
        rows: The rows that have a value, in order.
        items: Their values.
        listed: Have codes, even for numbers.
    """
    return column_at(count, None if len(rows) == count else array("H", rows).tobytes(), items, listed=listed)


def column_at(count: int, present: Any, items: Sequence[Any], *, listed: bool = False) -> Column:
    """Return what `column_of` returns, given the rows that have a value as `Column.present` has them."""
    code, data, packed = specify(items, listed=listed)
    return Column(count, code, data, present, packed)


def specify(items: Sequence[Any], *, listed: bool) -> tuple[str, bytes, bytes]:
    """Return the code, the data and the packed values of a column, compiled where it can be."""
    found = NotImplemented if _compiled is None else _compiled.specify(items, listed)
    return specify_in_python(items, listed=listed) if found is NotImplemented else found


def specify_in_python(items: Sequence[Any], *, listed: bool) -> tuple[str, bytes, bytes]:
    """Return what `specify` returns."""
    kinds = {*map(type, items)}
    if listed:
        return _coded(items, kinds)
    if kinds == {float}:
        return "d", array("d", items).tobytes(), b""
    if kinds == {int}:
        low, high = min(items), max(items)
        code = next((code for code, bits in _WIDTHS if -(2**bits) <= low and high < 2**bits), None)
        if code is not None and low >= -(2**63) + _RESERVED:
            return code, array(code, items).tobytes(), b""
    return _coded(items, kinds)


def _coded(items: Sequence[Any], kinds: set[type]) -> tuple[str, bytes, bytes]:
    is_of_one_kind = len(kinds) == 1 and kinds <= _TELL_THEMSELVES
    identify: Callable[[Any], Any] = _as_it_is if is_of_one_kind else _packed
    codes: dict[Any, int] = {}
    different: list[Any] = []
    found: list[int] = []
    for item in items:
        identity = identify(item)
        number = codes.get(identity)
        if number is None:
            number = 0
            if _can_be_listed(item):
                different.append(item)
                number = len(different)
            codes[identity] = number
        found.append(number)
    packed = ormsgpack.packb(different)
    if {*found} == {1}:
        return "B", b"", packed
    code = next(code for code, limit in _CODES if len(different) < limit)
    return code, array(code, found).tobytes(), packed


def _as_it_is(item: Any) -> Any:
    return item


def _packed(item: Any) -> bytes | None:
    return None if item is UNKNOWN else ormsgpack.packb(item)


def _can_be_listed(item: Any) -> bool:
    if item is UNKNOWN or isinstance(item, list | dict):
        return False
    return not isinstance(item, str | bytes) or len(item) <= _LARGEST_VALUE


def joined(parts: Sequence[tuple[int, Column | None]], *, listed: bool = False) -> Column:
    """Return one column for those of several blocks, one behind the other.

    Args:
        parts: Of each block how many rows it has, and its column, where there is one.
        listed: As for `column_of`.
    """
    count = sum(size for size, _ in parts)
    whole = [column for _, column in parts if column is not None and column.present is None]
    if len(whole) == len(parts):
        return _joined_whole(count, whole, listed=listed)
    rows: list[int] = []
    items: list[Any] = []
    start = 0
    for size, column in parts:
        if column is not None:
            rows += [start + row for row in column.rows]
            items += column.items()
        start += size
    return column_of(count, rows, items, listed=listed)


def _joined_whole(count: int, columns: Sequence[Column], *, listed: bool) -> Column:
    first = columns[0]
    if first.is_numeric and all(column.code == first.code for column in columns):
        return Column(count, first.code, b"".join(column.data for column in columns))
    if first.is_constant and all(column.is_constant and column.packed == first.packed for column in columns):
        return Column(count, first.code, b"", None, bytes(first.packed))
    found = None if any(column.is_numeric for column in columns) else _recoded(count, columns)
    return found or column_at(count, None, [item for column in columns for item in column.items()], listed=listed)


def _recoded(count: int, columns: Sequence[Column]) -> Column | None:
    """Return one column for several with codes without looking at each item; ``None`` where that cannot be done."""
    listed = [value for column in columns for value in column.values[1:]]
    kinds = {*map(type, listed)}
    codes = {value: code for code, value in enumerate(dict.fromkeys(listed), 1)}
    if len(kinds) != 1 or not kinds <= _TELL_THEMSELVES or len(codes) >= _FEW:
        return None
    data = b"".join(
        map_codes(
            b"\1" * column.count if column.is_constant else column.data,
            column.code,
            bytes([0, *map(codes.__getitem__, column.values[1:])]),
        )
        for column in columns
    )
    is_constant = len(codes) == 1 and 0 not in data
    return Column(count, "B", b"" if is_constant else data, None, ormsgpack.packb([*codes]))


def without(column: Column, renumbered: Sequence[int], count: int, *, listed: bool = False) -> Column | None:
    """Return a column without some rows; ``None`` where nothing is left.

    Args:
        column: The column.
        renumbered: The new number of each row; a negative one leaves it out.
        count: How many are left.
        listed: As for `column_of`.
    """
    left = [(renumbered[row], item) for row, item in zip(column.rows, column.items(), strict=True)]
    left = [pair for pair in left if pair[0] >= 0]
    return column_of(count, [row for row, _ in left], [item for _, item in left], listed=listed) if left else None


_compiled: Final = load("provtel_exporters.lmdb.index._gathering")
