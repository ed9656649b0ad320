"""Groups of rows by what columns have at some fields, counted without a look at a record."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from provtel_exporters.lmdb.index.kernels import both, many, map_codes, outside, spread
from provtel_exporters.lmdb.ranks import ranked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from provtel_exporters.lmdb.index.block import Block
    from provtel_exporters.lmdb.parts import Parts

_MOST_VALUES: Final = 256  # of one field in one block: each costs a look at all its rows
_Group = tuple[str | None, ...]


def counts_of(chosen: Iterable[tuple[Block, bytes]], by: Sequence[str], parts: Parts) -> Counter[_Group] | None:
    """Return how many rows have each combination of values; ``None`` where columns alone cannot tell.

    They can where every value is a text or missing, and a block has few different ones.

    Args:
        chosen: Blocks, each with the rows that count, as a set of `provtel_exporters.lmdb.conditions`.
        by: The fields.
        parts: The interned parts of the store.
    """
    found: Counter[_Group] = Counter()
    for block, rows in chosen:
        fields: list[list[tuple[str | None, bytes]]] = []
        for name in by:
            values = _rows_by_value(block, parts, name)
            if values is None:
                return None
            fields.append(values)
        for group, those in _combined(rows, fields):
            found[group] += many(those)
    return found


def _combined(rows: bytes, fields: Sequence[list[tuple[str | None, bytes]]]) -> Iterator[tuple[_Group, bytes]]:
    """Yield every combination that some of the rows have."""
    if 1 not in rows:
        return
    if not fields:
        yield (), rows
        return
    for value, those in fields[0]:
        for group, found in _combined(both(rows, those), fields[1:]):
            yield (value, *group), found


def _rows_by_value(block: Block, parts: Parts, name: str) -> list[tuple[str | None, bytes]] | None:
    column = ranked(block, parts, name, descending=False)
    if column is None:
        return None
    rest = b"\1" * block.count
    codes = column.column
    if codes is None:
        return [(None, rest)]
    if codes.is_numeric or codes.code == "Q" or len(codes.values) > _MOST_VALUES:
        return None
    values: list[Any] = [column.value_of(value) for value in codes.values[1:]]
    if not all(value is None or isinstance(value, str) for value in values):
        return None
    if not codes.is_constant and 1 in map_codes(codes.data, codes.code, b"\1" + bytes(len(values))):
        return None
    found: list[tuple[str | None, bytes]] = []
    for value in {*values} - {None}:
        if codes.is_constant:
            mask = b"\1" * len(codes.rows)
        else:
            mask = map_codes(codes.data, codes.code, bytes([0, *(each == value for each in values)]))
        rows = mask if codes.present is None else spread(block.count, codes.present, mask, 0)
        found.append((value, rows))
        rest = outside(rest, rows)
    return [*found, (None, rest)]
