"""Bodies are unpacked within their limits, whatever they are."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_model.errors import MalformedError
from provtel_model.unpacking import TooLargeError, unpack


@given(st.binary(max_size=2000), st.sampled_from(["gzip", "zlib", "deflate"]))
def test_packed_body_comes_back(body: bytes, packing: str) -> None:
    """What was packed comes back, up to the limit and not one byte over it."""
    packed = gzip.compress(body) if packing == "gzip" else zlib.compress(body)

    assert unpack(packed, packing, len(body)) == body
    if body:
        with pytest.raises(TooLargeError):
            unpack(packed, packing, len(body) - 1)


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=4))
def test_streams_one_after_another(parts: list[bytes]) -> None:
    """Several streams in one body are their contents in a row."""
    assert unpack(b"".join(map(gzip.compress, parts)), "gzip", 1000) == b"".join(parts)


@given(st.binary(min_size=1, max_size=500), st.data())
def test_cut_stream(body: bytes, data: st.DataObject) -> None:
    """A stream that lacks any part of its end is malformed."""
    packed = gzip.compress(body)

    with pytest.raises(MalformedError):
        unpack(packed[: data.draw(st.integers(0, len(packed) - 1))], "gzip", 1000)


@given(st.binary(max_size=200), st.sampled_from(["gzip", "zlib"]))
def test_any_bytes(body: bytes, packing: str) -> None:
    """Bytes that are no stream are malformed, and nothing else happens."""
    try:
        unpacked = unpack(body, packing, 1000)
    except (MalformedError, TooLargeError):
        return
    assert len(unpacked) <= 1000


def test_bomb() -> None:
    """A stream of much more than allowed is refused, and never lies unpacked in memory."""
    packed = gzip.compress(bytes(2**26), 1)
    tracemalloc.start()

    with pytest.raises(TooLargeError):
        unpack(packed, "gzip", 2**20)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23


def test_many_empty_streams() -> None:
    """A body of very many streams is refused, because each costs a copy of the rest."""
    with pytest.raises(MalformedError, match="more than 100 gzip streams"):
        unpack(gzip.compress(b"") * 101, "gzip", 1000)
