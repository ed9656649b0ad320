"""The compiled digest of scalars and its twin in Python give the same, whatever the value."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from provtel_model import dataflow
from provtel_model.compiled import load
from provtel_model.hashing import canonical_bytes, hash_bytes

from tests.model.strategies import ANY_LEAVES

compiled = load("provtel_model._digest")
pytestmark = pytest.mark.skipif(compiled is None, reason="it was not compiled here, or is ruled out")

BITS = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
NEAR_FIVE_DIGITS = st.builds(
    lambda digits, power, step: (
        math.nextafter(float(f"{digits}e{power}"), math.inf) if step else float(f"{digits}e{power}")
    ),
    st.integers(-(10**6), 10**6),
    st.integers(-25, 25),
    st.booleans(),
)
DECIMALS = st.decimals(-(10**12), 10**12, places=4).map(float) | st.integers(0, 10**7).map(lambda digits: digits / 1e4)
LONG = st.text(st.characters(exclude_categories=["Cs"]), min_size=30, max_size=200) | st.binary(
    min_size=30, max_size=300
)


def in_python(value: Any) -> tuple[bytes, bool] | None:
    """Return what the twin gives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataflow, "_compiled", None)
        return dataflow.scalar_digest(value)


@given(value=ANY_LEAVES | BITS | DECIMALS | NEAR_FIVE_DIGITS | LONG | st.integers())
@settings(max_examples=300)
@example(5e-324)
@example(99999.5)
@example(0.1 + 0.2)
@example(1e18)
@example(9.9999e17)
@example(-0.0)
@example(math.nan)
@example(math.inf)
@example(123456.0)
@example(12345.0)
def test_both_give_the_same(value: Any) -> None:
    """Of any scalar both give one digest, which is that of its canonical bytes, and one answer whether it tells."""
    found = dataflow.scalar_digest(value)

    assert found == in_python(value)
    assert found is not None
    assert f"sha256:{found[0].hex()}" == hash_bytes(canonical_bytes(value))


@pytest.mark.parametrize("by_instructions", [True, False])
def test_every_length_around_the_blocks_of_the_hash(by_instructions: bool) -> None:
    """Texts that end anywhere in a block of SHA-256 hash as OpenSSL hashes them, by the processor's own way or not."""
    assert compiled is not None
    compiled.use_instructions(by_instructions)
    try:
        for size in range(200):
            text = "".join(chr(48 + (size * place) % 70) for place in range(size))
            assert dataflow.scalar_digest(text) == in_python(text)
    finally:
        compiled.use_instructions(True)


@pytest.mark.parametrize("value", [[1], {"a": 1}, type("Text", (str,), {})("x"), ...], ids=repr)
def test_what_is_no_scalar_has_no_digest(value: Any) -> None:
    """Lists, maps and classes of somebody's own are left to the general way."""
    assert dataflow.scalar_digest(value) is in_python(value) is None


def test_half_characters_are_refused_by_both() -> None:
    """A text that has no UTF-8 raises the same error."""
    for digest in (dataflow.scalar_digest, in_python):
        with pytest.raises(UnicodeEncodeError):
            digest("\ud800")
