"""Which entries a request becomes: their streams and fields."""

from __future__ import annotations

import gzip
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provtel_model.otlp import to_json
from provtel_model.otlp.pieces import split
from provtel_model.redis import COMPRESSION, ENCODING, HEADER, PAYLOAD, Compression

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.components import Batch
    from provtel_model.kafka import Encoding

    from provtel_exporters.redis.config import RedisConfig

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Fast, as Redis is; what it saves beyond is little.
_GZIP_LEVEL: Final = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """What becomes one entry.

    Attributes:
        stream: Where it goes.
        fields: Its fields and their values, one after the other, the request last.
    """

    stream: str
    fields: tuple[bytes, ...]


def entries(config: RedisConfig, batch: Batch, limit: int, refused: list[str]) -> Iterator[Entry]:
    """Yield the entries of a batch; one, with the payload as it came, where it is no larger than allowed.

    Args:
        config: What the user wrote.
        batch: The batch.
        limit: The most bytes of a request in an entry.
        refused: Where it is said of each item that no entry holds.
    """
    goal = config.goal(batch.signal)
    told = batch.metadata
    keys = [key.lower() for key in config.include_metadata_keys]
    fields = [ENCODING, goal.encoding.encode()]
    for key in keys:
        if key in told:
            fields += [HEADER + key.encode(), told[key].encode()]
    if config.producer.compression != "none":
        fields += [COMPRESSION, config.producer.compression.encode()]
    for content in _contents(batch, goal.encoding, limit, refused):
        yield Entry(goal.stream, (*fields, PAYLOAD, _packed(content, config.producer.compression)))


def _contents(batch: Batch, encoding: Encoding, limit: int, refused: list[str]) -> Iterator[bytes]:
    waiting = [batch]
    while waiting:
        part = waiting.pop()
        content = part.payload if encoding == "otlp_proto" else to_json(part.signal, part.payload)
        if len(content) <= limit:
            yield content
        elif part.items > 1:
            waiting += _pieces(part, encoding, limit)[::-1]
        else:
            refused.append(f"one item of {len(content)} bytes is larger than an entry may be, which is {limit} bytes")


def _pieces(batch: Batch, encoding: Encoding, limit: int) -> list[Batch]:
    """Return several batches with some of the items each; where one is still too large, it can be cut again."""
    parts = split(batch, limit, "bytes") if encoding == "otlp_proto" else [batch]
    if len(parts) == 1:
        parts = split(batch, (batch.items + 1) // 2)
    return [part for part in parts if part.items]


def _packed(content: bytes, compression: Compression) -> bytes:
    if compression == "gzip":
        return gzip.compress(content, _GZIP_LEVEL)
    return zstd.compress(content) if compression == "zstd" else content
