"""Values survive the wire: every Python value that provtel keeps comes back equal and of the same type."""

from __future__ import annotations

import hashlib
import math
import os
import struct
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from provtel_model.anyvalue import TYPE_KEY, AnyValue
from provtel_model.hashing import canonical_bytes, content_hash
from provtel_model.otlp import wire
from provtel_model.otlp.decode import attributes_of
from provtel_model.values import Reference, Unrecognised, decode, encode, encode_set

from tests.model.strategies import ANY_VALUES, PYTHON_VALUES


@given(PYTHON_VALUES)
def test_python_values_come_back_equal(value: Any) -> None:
    """Decoding what was encoded gives an equal value of the same type."""
    result = decode(encode(value))

    assert result == value
    assert type(result) is type(value) or isinstance(result, type(value))


@given(PYTHON_VALUES)
def test_the_form_is_one_that_otlp_and_the_journal_carry(value: Any) -> None:
    """The AnyValue form goes unchanged through the journal's packing and through protobuf."""
    form = encode(value)

    assert canonical_bytes(ormsgpack.unpackb(ormsgpack.packb(form))) == canonical_bytes(form)
    assert canonical_bytes(_through_protobuf(form)) == canonical_bytes(form)


@given(ANY_VALUES)
def test_decoding_never_fails_and_loses_nothing(form: AnyValue) -> None:
    """Whatever a foreign sender wrote decodes, and encodes to a form that decodes to the same."""
    value = decode(form)

    again = encode(value)
    assert canonical_bytes(encode(decode(again))) == canonical_bytes(again)


@pytest.mark.parametrize(
    "raw",
    [
        {TYPE_KEY: "quaternion", "value": [1, 2, 3, 4]},
        {TYPE_KEY: "tuple"},
        {TYPE_KEY: "int", "value": "many"},
        {TYPE_KEY: "set", "items": [[1]]},
        {TYPE_KEY: "reference", "hash": "sha256:00"},
        {TYPE_KEY: 3},
    ],
)
def test_unknown_and_malformed_tags_are_kept_as_they_came(raw: dict[str, AnyValue]) -> None:
    """A tag that this version cannot read is neither an error nor lost."""
    assert decode(raw) == Unrecognised(raw)
    assert encode(decode(raw)) == raw


def test_a_users_map_with_the_reserved_key_is_not_mistaken_for_a_tag() -> None:
    """The reserved key in a user's own map is escaped."""
    value = {TYPE_KEY: "tuple", "items": [1]}

    assert decode(encode(value)) == value


def test_a_value_without_a_form_is_refused_by_name() -> None:
    """Without a fallback the error names the type."""
    with pytest.raises(TypeError, match="object has no form on the wire"):
        encode([object()])
    assert encode([object()], lambda _value: "opaque") == ["opaque"]


def test_every_nan_is_the_same_content() -> None:
    """Two NaN of different bits hash equal."""
    other = struct.unpack("<d", struct.pack("<Q", 0xFFF8000000000001))[0]

    assert content_hash(other) == content_hash(math.nan)


@given(ANY_VALUES, ANY_VALUES)
def test_canonical_bytes_tell_different_values_apart(first: AnyValue, second: AnyValue) -> None:
    """Equal bytes mean equal trees: the encoding can be parsed back in one way only."""
    if canonical_bytes(first) == canonical_bytes(second):
        assert repr(_ordered(first)) == repr(_ordered(second))


def test_canonical_bytes_do_not_depend_on_the_order_of_keys() -> None:
    """Two maps with the same entries hash equal."""
    assert content_hash({"b": 1, "a": [1.5, None]}) == content_hash({"a": [1.5, None], "b": 1})


def test_a_reference_to_a_file_opens_like_its_path(tmp_path: Path) -> None:
    """What refers to a file can be opened, whatever its name, also after a way through the wire."""
    file = tmp_path / "100 % of ü.txt"
    file.write_text("content")
    reference = decode(Reference("file", uri=file.as_uri()).to_value())

    assert Path(reference) == file
    with open(reference) as opened:  # noqa: PTH123  # that this works is the point
        assert opened.read() == "content"


def test_a_reference_to_something_else_is_no_path() -> None:
    """What refers to no file is refused where a path is wanted, and the error says what it refers to."""
    with pytest.raises(TypeError, match="s3://bucket/key is no path"):
        os.fspath(Reference("file", uri="s3://bucket/key"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, b"n"),
        (True, b"t"),
        (-7, b"i-7;"),
        (1.0, b"d?\xf0\0\0\0\0\0\0"),
        ("é", b"s2:\xc3\xa9"),
        (b"\0", b"b1:\0"),
        ([1, []], b"li1;lee"),
        ({"b": False, "a": 1}, b"ms1:ai1;s1:bfe"),
        ({TYPE_KEY: "reference", "type": "file", "hash": "sha256:aa", "preview": "x"}, b"r9:sha256:aa"),
    ],
)
def test_canonical_bytes_are_frozen(value: AnyValue, expected: bytes) -> None:
    """The encoding is on disk and in hashes of others: these examples never change."""
    assert canonical_bytes(value) == expected


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1))
    | st.lists(st.floats())
    | st.lists(st.text())
    | st.lists(st.text("ab:;"))
    | st.lists(st.booleans() | st.integers(0, 9) | st.floats(0, 1))
)
def test_lists_of_one_kind_are_encoded_as_any_list(items: list[AnyValue]) -> None:
    """A list is its items one after the other, also where all are encoded at once."""
    assert canonical_bytes(items) == b"l" + b"".join(map(canonical_bytes, items)) + b"e"


@given(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True) | st.lists(st.integers(-20, 20), unique=True))
def test_sets_of_integers_have_the_order_of_any_set(items: list[AnyValue]) -> None:
    """The items of a set are in the order of their canonical bytes."""
    assert encode_set(items)["items"] == sorted(items, key=canonical_bytes)


def test_the_content_hash_is_frozen() -> None:
    """Version 1 of the hash gives this for the empty map."""
    expected = hashlib.sha256(b"provtel.value.1\0me").hexdigest()

    assert content_hash({}) == f"sha256:{expected}"
    assert expected == "4e986c83d15fb2f72008c999c726f4a41e0e9fd5492434963f1f4d089cdcc8f5"


def test_a_reference_hashes_as_what_it_stands_for() -> None:
    """A file has the same hash wherever it lies."""
    here = Reference("file", hash="sha256:aa", uri="file:///here")

    assert content_hash(encode(here)) == "sha256:aa"
    assert canonical_bytes([encode(here)]) == canonical_bytes([encode(Reference("file", hash="sha256:aa"))])


def _through_protobuf(form: AnyValue) -> AnyValue:
    return attributes_of(Resource.FromString(wire.key_values(1, {"k": form})).attributes)["k"]


def _ordered(form: AnyValue) -> object:
    if isinstance(form, dict):
        if form.get(TYPE_KEY) == "reference" and isinstance(form.get("hash"), str):
            return ("reference", form["hash"])
        return {key: _ordered(form[key]) for key in sorted(form)}
    return [_ordered(item) for item in form] if isinstance(form, list) else form
