"""Packs requests."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final

# The fastest: on a request of 500 spans the next better levels take twice to four times the time for a tenth less.
_GZIP_LEVEL: Final = 1
# Zstandard's own; Go takes any number for the nearest.
_FASTEST: Final = -(2**17)
_BEST: Final = 22

Pack = Callable[[bytes], bytes]


def packer(name: str, level: int = 0, *, framed: bool = False) -> Pack | None:
    """Return what packs requests; None where they are to stay as they are.

    Args:
        name: What the configuration calls it.
        level: How hard to try; 0 for what is fast.
        framed: Snappy as a stream of blocks, as gRPC has it, and not as a single one, as HTTP has it.
    """
    if name == "gzip":
        return partial(gzip.compress, compresslevel=_deflated(level), mtime=0)
    if name in {"zlib", "deflate"}:
        return partial(zlib.compress, level=_deflated(level))
    if name == "zstd":
        return _zstd(level)
    if name == "snappy":
        return _snappy(framed=framed)
    return _lz4(level) if name == "lz4" else None


def _deflated(level: int) -> int:
    # What Go calls -2, to try less hard than 1, zlib does not have.
    return _GZIP_LEVEL if level in {0, -2} else level


def _zstd(level: int) -> Pack:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    return partial(zstd.compress, level=min(max(level, _FASTEST), _BEST) or 1)


def _snappy(*, framed: bool) -> Pack:
    import cramjam

    compress = cramjam.snappy.compress if framed else cramjam.snappy.compress_raw
    return lambda content: bytes(compress(content))


def _lz4(level: int) -> Pack:
    import lz4.frame

    return partial(lz4.frame.compress, compression_level=level)
