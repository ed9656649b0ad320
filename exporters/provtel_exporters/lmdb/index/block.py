"""A block: the index of some rows that follow each other, in one value of LMDB.

It begins with the length of its head (4 bytes) and the head, MessagePack, which says what else is in it and where. The
rows of a block are named by their places in it, which are fewer than 65,536; so a key takes ten bytes.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import ormsgpack
from provtel_model.compiled import load

from provtel_exporters.lmdb.index.columns import Column, column_at, column_of, joined, without
from provtel_exporters.lmdb.index.kernels import kept, merge_keys, sort_keys

if TYPE_CHECKING:
    from provtel_model.record import PlainRecord

MOST_ROWS: Final = 2**16
TRACE: Final = ".trace"
ACTIVITY_PART: Final = ".activity"
RUN_PART: Final = ".run"
PARTS: Final = (".origin", ACTIVITY_PART, RUN_PART, ".shape")
"""The columns of the interned parts, by number."""
LISTED: Final = frozenset({TRACE, *PARTS})
"""The columns that have codes even where their values are numbers."""
MAPS: Final = frozenset({"used", "generated", "telemetry", "attributes", "error", "dropped"})
"""The maps of which every key is a column; its name is that of the map, a zero and the key."""
ELSEWHERE: Final = frozenset(
    {
        *("trace_id", "span_id", "parent_id", "started_at", "events", "links", "tags"),
        *("resource", "scope", "host", "pid", "rank"),
        *("plan", "agent", "kind", "span_kind"),
        *("workflow_id", "workflow_name", "campaign_id"),
    }
)
"""The fields that are no columns of their own: they are keys, lists, or in the interned parts."""

Head: TypeAlias = tuple[int, int, int, int, list[list[int]], dict[str, list[Any]]]
"""What the head of a block says: its first row, how many there are, when they began, where the rest of it lies."""

_LENGTH: Final = 4
_TRACE_BYTES: Final = 16
_ALIGNED: Final = 8


class Entry(NamedTuple):
    """What a block knows of a row.

    Args:
        row: Its number.
        plain: The record.
        parts: The numbers of its interned parts.
        key: Its trace id, span id and start, as `provtel_exporters.lmdb.layout.id_key` has them.
        keys: The keys (Q) that lead to it.
    """

    row: int
    plain: PlainRecord
    parts: tuple[int, int, int, int]
    key: bytes
    keys: bytes


class Entries(NamedTuple):
    """What a block knows of several rows: as `Entry` has it, each in its order."""

    rows: Sequence[int]
    plains: Sequence[PlainRecord]
    parts: Sequence[tuple[int, int, int, int]]
    ids: Sequence[bytes]
    keys: Sequence[bytes]

    def between(self, begin: int, end: int) -> Entries:
        """Return what is known of some of them."""
        some = slice(begin, end)
        return Entries(self.rows[some], self.plains[some], self.parts[some], self.ids[some], self.keys[some])


@dataclass(frozen=True, slots=True)
class Block:
    """The index of some rows.

    Args:
        first: The number of its first row.
        count: How many rows it has.
        offsets: How far each row's number (I) lies behind that of the first; empty where they are without gaps.
        earliest: When the first of the records started.
        latest: When the last did.
        starts: When each record started (Q).
        spans: The span id of each (Q).
        columns: What each has in its fields.
        digests: Keys (Q), sorted.
        places: The place of the row (H) that each leads to.
    """

    first: int
    count: int
    offsets: Any
    earliest: int
    latest: int
    starts: Any
    spans: Any
    columns: Mapping[str, Column]
    digests: Any
    places: Any

    def row(self, place: int) -> int:
        """Return the number of the row at a place."""
        if not len(self.offsets):
            return self.first + place
        return self.first + int(memoryview(self.offsets).cast("B").cast("I")[place])

    @property
    def steps(self) -> Sequence[int]:
        """How far the number of each row lies behind that of the first."""
        return memoryview(self.offsets).cast("B").cast("I") if len(self.offsets) else range(self.count)

    def start(self, place: int) -> int:
        """Return when the record at a place started."""
        return int(memoryview(self.starts).cast("B").cast("Q")[place])

    def pack(self) -> bytes:
        """Return the bytes of the block, of which `parse` makes it again."""
        body = _Body()
        columns = [
            [
                name,
                column.code,
                *body.put(column.data),
                *body.put(column.packed),
                *body.put(column.present or b""),
                column.present is not None,
            ]
            for name, column in self.columns.items()
        ]
        sections = [body.put(found) for found in (self.offsets, self.starts, self.spans, self.digests, self.places)]
        head = ormsgpack.packb([self.first, self.count, self.earliest, self.latest, sections, columns])
        begin = len(head).to_bytes(_LENGTH, "little") + head
        return begin + bytes(-len(begin) % _ALIGNED) + b"".join(body.pieces)


def parse(packed: Any, heads: dict[bytes, Head] | None = None) -> Block:
    """Return the block of some bytes, which it refers to.

    Args:
        packed: The bytes.
        heads: Heads of blocks that were parsed before; this one is put there.
    """
    view = memoryview(packed)
    size = int.from_bytes(view[:_LENGTH], "little")
    head = bytes(view[_LENGTH : _LENGTH + size])
    found = None if heads is None else heads.get(head)
    if found is None:
        first, count, earliest, latest, sections, specified = ormsgpack.unpackb(head)
        found = first, count, earliest, latest, sections, {column[0]: column for column in specified}
        if heads is not None:
            heads[head] = found
    first, count, earliest, latest, sections, columns = found
    body = view[_LENGTH + size + (-(_LENGTH + size) % _ALIGNED) :]
    offsets, starts, spans, digests, places = (body[begin:end] for begin, end in sections)
    return Block(
        first, count, offsets, earliest, latest, starts, spans, _Columns(count, columns, body), digests, places
    )


class _Columns(Mapping[str, Column]):
    """The columns of a block that was parsed, each made when it is asked for: most questions ask for few."""

    def __init__(self, count: int, specified: Mapping[str, list[Any]], body: memoryview[Any]) -> None:
        self._count = count
        self._specified = specified
        self._body = body
        self._made: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        found = self._made.get(name)
        if found is None:
            _, code, data, end, packed, packed_end, some, last, is_partial = self._specified[name]
            body = self._body
            present = body[some:last] if is_partial else None
            found = self._made[name] = Column(self._count, code, body[data:end], present, body[packed:packed_end])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._specified)

    def __len__(self) -> int:
        return len(self._specified)


def entries_of(entries: Iterable[Entry]) -> Entries:
    """Return what is known of rows, one at least, column by column."""
    return Entries(*zip(*entries, strict=True))


def block_of(entries: Entries) -> Block:
    """Return the block of rows that follow each other."""
    rows, plains, parts, ids, keys = entries
    first, count = rows[0], len(rows)
    numbers = array("Q", b"".join(ids))  # two of the trace id, the span id, the start
    if sys.byteorder == "little":
        numbers.byteswap()
    starts = numbers[3::4]
    return Block(
        first,
        count,
        b"" if rows[-1] - first == count - 1 else array("I", [row - first for row in rows]).tobytes(),
        min(starts),
        max(starts),
        starts.tobytes(),
        numbers[2::4].tobytes(),
        dict(_columns_of(plains, parts, ids)),
        *sort_keys(keys),
    )


def _columns_of(
    plains: Sequence[PlainRecord], parts: Sequence[tuple[int, ...]], ids: Sequence[bytes]
) -> Iterator[tuple[str, Column]]:
    count = len(plains)
    yield TRACE, column_at(count, None, [key[:_TRACE_BYTES] for key in ids], listed=True)
    for name, numbers in zip(PARTS, zip(*parts, strict=True), strict=True):
        yield name, column_at(count, None, numbers, listed=True)
    for name, (rows, items) in gather(plains).items():
        yield name, column_at(count, None if len(items) == count else rows, items)


def gather(plains: Sequence[PlainRecord]) -> dict[str, tuple[bytes, list[Any]]]:
    """Return, for each field that is a column, the records (H) that have it, and what they have."""
    found = NotImplemented if _compiled is None else _compiled.gather(plains, MAPS, ELSEWHERE)
    return gather_in_python(plains) if found is NotImplemented else found


def gather_in_python(plains: Sequence[PlainRecord]) -> dict[str, tuple[bytes, list[Any]]]:
    """Return what `gather` returns."""
    places: dict[str, list[int]] = {}
    items: dict[str, list[Any]] = {}
    for place, plain in enumerate(plains):
        for name, value in _fields(plain):
            if name not in items:
                places[name], items[name] = [], []
            places[name].append(place)
            items[name].append(value)
    return {name: (array("H", places[name]).tobytes(), items[name]) for name in items}


def _fields(plain: PlainRecord) -> Iterator[tuple[str, Any]]:
    for name, value in plain.items():
        if name in MAPS and isinstance(value, dict):
            for key, item in value.items():
                yield f"{name}\0{key}", item
        elif name not in ELSEWHERE:
            yield name, value


def merged(blocks: Sequence[Block], dead: Sequence[frozenset[int]]) -> Block | None:
    """Return one block for several that follow each other; ``None`` where nothing of them is left.

    Args:
        blocks: The blocks.
        dead: The places in each whose rows are gone.
    """
    cleaned = [found for block, gone in zip(blocks, dead, strict=True) if (found := _without(block, gone))]
    if len(cleaned) <= 1:
        return cleaned[0] if cleaned else None
    first, count = cleaned[0].first, sum(block.count for block in cleaned)
    names = dict.fromkeys(name for block in cleaned for name in block.columns)
    start, renumbered = 0, []
    for block in cleaned:
        renumbered.append((block.digests, block.places, _numbers()[start : start + block.count]))
        start += block.count
    return Block(
        first,
        count,
        _offsets(cleaned),
        min(block.earliest for block in cleaned),
        max(block.latest for block in cleaned),
        b"".join(block.starts for block in cleaned),
        b"".join(block.spans for block in cleaned),
        {
            name: joined([(block.count, block.columns.get(name)) for block in cleaned], listed=name in LISTED)
            for name in names
        },
        *merge_keys(renumbered),
    )


@cache
def _numbers() -> memoryview[int]:
    """Return the numbers (i) of all places that there may be."""
    return memoryview(array("i", range(MOST_ROWS)))


def _offsets(blocks: Sequence[Block]) -> bytes:
    """Return the offsets of the rows of blocks that follow each other, as one block has them."""
    first, count = blocks[0].first, sum(block.count for block in blocks)
    if blocks[-1].row(blocks[-1].count - 1) - first == count - 1:
        return b""
    offsets = array("I")
    for block in blocks:
        offsets.extend(map((block.first - first).__add__, block.steps))
    return offsets.tobytes()


def _without(block: Block, dead: frozenset[int]) -> Block | None:
    """Return a block without the rows that are gone; ``None`` where all are."""
    if not dead:
        return block
    left = [place for place in range(block.count) if place not in dead]
    if not left:
        return None
    mask = bytearray(block.count)
    renumbered = array("i", [-1]) * block.count
    for new, place in enumerate(left):
        mask[place], renumbered[place] = 1, new
    offsets = array("I", [block.row(place) - block.row(left[0]) for place in left])
    kept_columns = {
        name: without(column, renumbered, len(left), listed=name in LISTED) for name, column in block.columns.items()
    }
    return Block(
        block.row(left[0]),
        len(left),
        b"" if offsets[-1] == len(left) - 1 else offsets.tobytes(),
        block.earliest,
        block.latest,
        kept(block.starts, 8, bytes(mask)),
        kept(block.spans, 8, bytes(mask)),
        {name: column for name, column in kept_columns.items() if column is not None},
        *merge_keys([(block.digests, block.places, renumbered)]),
    )


def differences(block: Block, other: Block) -> list[str]:
    """Return what two blocks of the same number of rows say differently, by name."""
    places = range(block.count)
    found = [
        name
        for name in ("starts", "spans", "digests", "places")
        if bytes(getattr(block, name)) != bytes(getattr(other, name))
    ]
    if any(block.row(place) != other.row(place) for place in places):
        found.append("rows")
    return found + [
        f"column {name}"
        for name in sorted({*block.columns, *other.columns})
        if _as_new(name, block.columns.get(name)) != _as_new(name, other.columns.get(name))
    ]


def _as_new(name: str, column: Column | None) -> Column | None:
    """Return a column as it would be if it were made in one piece."""
    if column is None:
        return None
    return column_of(column.count, column.rows, column.items(), listed=name in LISTED)


class _Body:
    """What lies behind the head, each piece where a number may begin."""

    def __init__(self) -> None:
        self.pieces: list[Any] = []
        self._size = 0

    def put(self, piece: Any) -> tuple[int, int]:
        """Add a piece; return where it begins and ends."""
        begin, length = self._size, len(memoryview(piece).cast("B")) if len(piece) else 0
        padding = -length % _ALIGNED
        self.pieces += [piece, bytes(padding)]
        self._size += length + padding
        return begin, begin + length


_compiled: Final = load("provtel_exporters.lmdb.index._gathering")
