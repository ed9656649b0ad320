"""Figures and different values of rows by what columns have; a record is read only where a column does not hold it."""

from __future__ import annotations

from collections import defaultdict
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

from provtel_model.aggregation import Groups, first_value, values_of
from provtel_model.fields import values_at, with_computed

from provtel_exporters.lmdb.conditions import PARTS_OF, rows_in
from provtel_exporters.lmdb.index.block import MAPS, Block
from provtel_exporters.lmdb.index.columns import UNKNOWN, Column
from provtel_exporters.lmdb.ranks import Ranked, ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from provtel_model.aggregation import Aggregation
    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainRecord

    from provtel_exporters.lmdb.parts import Parts


class Figures:
    """What an aggregation asks of the rows of a store.

    Args:
        wanted: The aggregation.
        parts: The interned parts of the store.
        plain_at: Returns the record at a place of a block.
    """

    def __init__(self, wanted: Aggregation, parts: Parts, plain_at: Callable[[Block, int], PlainRecord]) -> None:
        self._wanted = wanted
        self._parts = parts
        self._plain_at = plain_at
        self._groups = Groups(wanted)
        self._names = {*wanted.by, *(figure.field for figure in wanted.figures.values() if figure.field is not None)}

    def add(self, block: Block, rows: bytes) -> None:
        """Take the rows of a block, given as a set of `provtel_exporters.lmdb.conditions`."""
        places = [*compress(range(block.count), rows)]
        records = _Records(block, self._plain_at)
        fields = {
            name: _field(ranked(block, self._parts, name, descending=False), name, places, records)
            for name in self._names
        }
        for tokens, those in _split([fields[name] for name in self._wanted.by], places).items():
            self._groups.add(
                [fields[name].value(token) for name, token in zip(self._wanted.by, tokens, strict=True)],
                [
                    [True] * len(those) if figure.field is None else fields[figure.field].of(those)
                    for figure in self._wanted.figures.values()
                ],
            )

    def answer(self) -> list[dict[str, AnyValue]]:
        """Return the groups."""
        return self._groups.answer()


class _Records:
    """The records of a block that were asked, each once."""

    def __init__(self, block: Block, plain_at: Callable[[Block, int], PlainRecord]) -> None:
        self._block = block
        self._plain_at = plain_at
        self._known: dict[int, dict[str, AnyValue]] = {}

    def value(self, place: int, name: str) -> AnyValue:
        """Return the first value at a field of the record at a place."""
        if place not in self._known:
            self._known[place] = with_computed(self._plain_at(self._block, place))
        return first_value(self._known[place], name)


class _Field(NamedTuple):
    """What the rows of a block have at a field.

    Args:
        tokens: One for each row; equal ones stand for the same value.
        values: The values of tokens, by number; ``None`` where these are the values.
    """

    tokens: Sequence[Any] | Mapping[int, Any]
    values: Sequence[Any] | None

    def value(self, token: Any) -> Any:
        """Return the value of a token."""
        return token if self.values is None else self.values[token]

    def of(self, places: Iterable[int]) -> Iterable[Any]:
        """Return the values of rows."""
        tokens = map(self.tokens.__getitem__, places)
        return tokens if self.values is None else map(self.values.__getitem__, tokens)


def _field(found: Ranked | None, name: str, places: Sequence[int], records: _Records) -> _Field:
    """Return what some rows of a block have at a field: by its column, or by their records where that cannot tell."""
    if found is None:
        values = [records.value(place, name) for place in places]
        return _Field({place: number for number, place in enumerate(places)}, values)
    column = found.column
    if column is None:
        return _Field([None] * found.block.count, None)
    items = _items(column)
    if _holds_numbers(column):
        return _Field(_spread(column, items, None), None)
    values = [None, *map(found.value_of, column.values[1:]), None]
    tokens = _spread(column, items, len(values) - 1)
    if 0 in tokens:
        for place in places:
            if not tokens[place]:
                tokens[place] = len(values)
                values.append(records.value(place, name))
    return _Field(tokens, values)


def _split(by: Sequence[_Field], places: list[int]) -> Mapping[tuple[Any, ...], list[int]]:
    """Return the places of each combination of tokens."""
    if not by:
        return {(): places} if places else {}
    found: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    combinations = zip(*(map(field.tokens.__getitem__, places) for field in by), strict=True)
    for place, tokens in zip(places, combinations, strict=True):
        found[tokens].append(place)
    return found


def different_values(
    block: Block, rows: bytes, name: str, parts: Parts, plain_at: Callable[[Block, int], PlainRecord]
) -> Iterator[AnyValue]:
    """Yield every value that some rows of a block have at a field, at least once each.

    Args:
        block: The block.
        rows: The rows, as a set of `provtel_exporters.lmdb.conditions`.
        name: The field.
        parts: The interned parts of the store.
        plain_at: Returns the record at a place of a block.
    """
    top, *rest = name.split(".")
    if top in PARTS_OF:
        of_parts, fields = PARTS_OF[top]
        for number in _in_rows(block.columns[of_parts], rows):
            value = parts[number][fields.index(top)]
            if value is not None:
                yield from values_at(value, tuple(rest))
        return
    found = ranked(block, parts, name, descending=False) if top in MAPS or not rest else None
    if found is None:
        for place in rows_in(rows):
            yield from values_of(plain_at(block, place), name)
    elif found.column is not None:
        values = _in_rows(found.column, rows)
        if not any(value is UNKNOWN for value in values):
            yield from map(found.value_of, values)
            return
        for place, value in zip(found.column.rows, found.column.items(), strict=True):
            if rows[place]:
                yield from values_of(plain_at(block, place), name) if value is UNKNOWN else [found.value_of(value)]


def _in_rows(column: Column, rows: bytes) -> list[Any]:
    """Return the different values that a column has in some rows, in the order in which they come."""
    mask = rows if column.present is None else map(rows.__getitem__, column.rows)
    items = dict.fromkeys(compress(_items(column), mask))
    return [*items] if _holds_numbers(column) else [column.values[item] for item in items]


def _holds_numbers(column: Column) -> bool:
    return column.is_numeric or column.code == "Q"


def _items(column: Column) -> list[Any]:
    """Return the number or code of each row that has a value."""
    if column.is_constant:
        return [1] * len(column.rows)
    return memoryview(column.data).cast("B").cast(column.code).tolist()  # type: ignore[call-overload,no-any-return]  # codes are text


def _spread(column: Column, items: list[Any], missing: Any) -> list[Any]:
    if column.present is None:
        return items
    whole = [missing] * column.count
    for row, item in zip(column.rows, items, strict=True):
        whole[row] = item
    return whole
