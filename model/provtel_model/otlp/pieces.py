"""Requests put together, and cut into smaller ones, as bytes: what is in them is neither decoded nor changed.

Protobuf allows both. Two serialised messages, one after the other, are one message with the repeated fields of both. A
message without some elements of a repeated field is a message too, if the lengths of what contains it are made to fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal

from provtel_model.components import Batch, Signal
from provtel_model.errors import MalformedError
from provtel_model.otlp.wire import sized

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Measure = Literal["items", "bytes"]

# The numbers of the fields that lead from a request to its items: groups by resource, groups by scope, and then spans,
# log records, or metrics with their data points in a field for each kind of metric.
_WAYS: Final[Mapping[Signal, tuple[frozenset[int], ...]]] = {
    Signal.TRACES: (frozenset({1}), frozenset({2}), frozenset({2})),
    Signal.LOGS: (frozenset({1}), frozenset({2}), frozenset({2})),
    Signal.METRICS: (
        frozenset({1}),
        frozenset({2}),
        frozenset({2}),
        frozenset({5, 7, 9, 10, 11}),
        frozenset({1}),
    ),
}
_SIZED: Final = 2
_GROUP_END: Final = 4
_MOST_FRAMING: Final = 11
"""The most bytes that a tag and a length take."""


def merge(batches: Sequence[Batch]) -> Batch:
    """Return one batch with the items of all, which must be of one signal, in their order.

    It has their metadata where they have the same.
    """
    if len(batches) == 1:
        return batches[0]
    payload = b"".join([batch.payload for batch in batches])
    first = batches[0]
    metadata = first.metadata if all(batch.metadata == first.metadata for batch in batches) else {}
    return Batch(first.signal, payload, sum(batch.items for batch in batches), metadata)


def split(batch: Batch, most: int, measure: Measure = "items") -> list[Batch]:
    """Return batches that are no larger than asked for, and that are the batch when they are put together.

    An item that is larger alone is a batch of its own.

    Args:
        batch: What to split.
        most: The largest that a batch may be.
        measure: What is meant by large.

    Raises:
        MalformedError: The payload is no request.
    """
    if (batch.items if measure == "items" else len(batch.payload)) <= most:
        return [batch]
    root, leaves = _leaves(batch)
    pieces = _by_items(leaves, most) if measure == "items" else _by_bytes(root, leaves, most)
    return [
        Batch(batch.signal, root + _joined(piece, 0), sum(leaf.items for leaf in piece), batch.metadata)
        for piece in pieces
        if piece
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Head:
    """What a message has besides what is cut, and which field of its parent it is."""

    field: int
    rest: bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Leaf:
    """What is not cut: an item, or a message without any.

    Args:
        field: Which field of its parent it is.
        content: Its bytes.
        heads: What it is in, from outside to inside.
        items: 1, or 0 where it is no item.
    """

    field: int
    content: bytes
    heads: tuple[_Head, ...]
    items: int


def _leaves(batch: Batch) -> tuple[bytes, list[_Leaf]]:
    """Return what a request has besides its groups, and its leaves."""
    way = _WAYS[batch.signal]
    rest, children = _opened(batch.payload, way[0])
    return rest, [leaf for field, content in children for leaf in _below(field, content, (), way[1:])]


def _below(field: int, content: bytes, heads: tuple[_Head, ...], way: tuple[frozenset[int], ...]) -> Iterator[_Leaf]:
    if not way:
        yield _Leaf(field, content, heads, 1)
        return
    rest, children = _opened(content, way[0])
    if not children:
        yield _Leaf(field, content, heads, 0)
        return
    inner = (*heads, _Head(field, rest))
    if len(way) == 1:
        yield from [_Leaf(number, child, inner, 1) for number, child in children]
        return
    for number, child in children:
        yield from _below(number, child, inner, way[1:])


def _opened(message: bytes, fields: frozenset[int]) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Return a message without some fields, and the contents of those, each with its number."""
    rest = []
    children = []
    position = 0
    try:
        while position < len(message):
            begin = position
            tag, position = _varint(message, position)
            if tag & 7 == _SIZED:
                length, position = _varint(message, position)
                begun, position = position, position + length
                if tag >> 3 in fields:
                    children.append((tag >> 3, message[begun:position]))
                    continue
            else:
                position = _skip(message, position, tag)
            rest.append(message[begin:position])
    except IndexError:
        position = -1
    if position != len(message):
        raise MalformedError("the bytes end inside of a field")
    return b"".join(rest), children


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Return the varint at a position, and the position after it."""
    byte = message[position]
    if byte < 0x80:  # noqa: PLR2004  # one byte, by far the most frequent
        return byte, position + 1
    number = shift = 0
    while True:
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  # the last byte
            return number, position
        shift += 7


def _skip(message: bytes, position: int, tag: int) -> int:
    """Return the position after the value of a field that is not sized."""
    match tag & 7:
        case 0:
            return _varint(message, position)[1]
        case 1:
            return position + 8
        case 5:
            return position + 4
        case 3:
            return _skip_group(message, position)
    raise MalformedError(f"{tag & 7} is no wire type")


def _skip_group(message: bytes, position: int) -> int:
    while True:
        tag, position = _varint(message, position)
        if tag & 7 == _GROUP_END:
            return position
        if tag & 7 == _SIZED:
            length, position = _varint(message, position)
            position += length
        else:
            position = _skip(message, position, tag)


def _by_items(leaves: list[_Leaf], most: int) -> Iterator[list[_Leaf]]:
    piece: list[_Leaf] = []
    items = 0
    for leaf in leaves:
        if items + leaf.items > most and piece:
            yield piece
            piece, items = [], 0
        piece.append(leaf)
        items += leaf.items
    yield piece


def _by_bytes(root: bytes, leaves: list[_Leaf], most: int) -> Iterator[list[_Leaf]]:
    piece: list[_Leaf] = []
    heads: set[_Head] = set()
    length = len(root)
    for leaf in leaves:
        own = len(leaf.content) + _MOST_FRAMING
        new = sum(len(head.rest) + _MOST_FRAMING for head in leaf.heads if head not in heads)
        if piece and length + own + new > most:
            yield piece
            piece, heads, length = [], set(), len(root)
            new = sum(len(head.rest) + _MOST_FRAMING for head in leaf.heads)
        piece.append(leaf)
        heads.update(leaf.heads)
        length += own + new
    yield piece


def _joined(leaves: list[_Leaf], depth: int) -> bytes:
    """Return the fields that hold some leaves, at a depth."""
    parts = []
    for head, group in groupby(leaves, lambda leaf: leaf.heads[depth] if depth < len(leaf.heads) else None):
        if head is None:
            parts += [sized(leaf.field, leaf.content) for leaf in group]
        else:
            parts.append(sized(head.field, head.rest + _joined(list(group), depth + 1)))
    return b"".join(parts)
