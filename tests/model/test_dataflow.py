"""The keys by which a datum is found elsewhere: which data has one, and which two data share one."""

from __future__ import annotations

import math
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from provtel_model.anyvalue import TYPE_KEY, AnyValue
from provtel_model.dataflow import MAX_MEMBERS, content_key, data, data_keys, file_key, name_key
from provtel_model.hashing import canonical_bytes, content_hash
from provtel_model.record import PlainRecord
from provtel_model.values import encode

from tests.model.strategies import ANY_VALUES, PYTHON_VALUES, REFERENCES, TEXT

PLAIN = cast("PlainRecord", {"trace_id": "a" * 32, "span_id": "b" * 16, "started_at": 1})
HASH = "sha256:" + "ab" * 32
FINGERPRINT = "fp1:" + "ab" * 8

VALUES = ANY_VALUES | PYTHON_VALUES.map(encode) | REFERENCES.map(lambda reference: reference.to_value())


def _reference(**fields: AnyValue) -> dict[str, AnyValue]:
    return {TYPE_KEY: "reference", "type": "ndarray"} | fields


def _keys(value: AnyValue) -> set[str]:
    """Return the keys of a value by content and by file."""
    return {key for key, _ in data_keys(PLAIN, {"x": value}) if not key.startswith("name:")}


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        2**31,
        "",
        "epoch",
        "a" * 11,
        b"",
        b"x" * 11,
        0.0,
        -0.0,
        0.5,
        0.1,
        1e300,
        12345.0,
        1.2345e24,
        math.nan,
        math.inf,
        -math.inf,
        [],
        {},
        [1],
        {"a": 1},
        0.00012345,
        -9.8765e-08,
        100000.0,
        1e22,
    ],
    ids=repr,
)
def test_small_and_common_values_never_link_by_content(value: AnyValue) -> None:
    """What programs hold everywhere, such as True, 0, an empty text or 0.5, says nothing when it is met again."""
    assert content_key(value) is None
    assert file_key(value) is None


@pytest.mark.parametrize(
    "value",
    [
        123456.0,
        0.123456,
        1.23456e-300,
        -0.1234567890123,
        100000.5,
        math.pi,
        1e22 / 3,
        0.1 + 0.2,
        1.23456789e18,
        "a" * 12,
        b"x" * 12,
        10**14,
        [1, 2, 3, 4, 5],
        {"a": 1, "bc": 2},
        "ünïcödë, a text",
    ],
    ids=repr,
)
def test_telling_values_link_by_content(value: AnyValue) -> None:
    """Sixteen canonical bytes, or a float with six significant digits, are enough to be recognised by."""
    assert content_key(value) == f"content:{content_hash(value)}"


@given(VALUES)
def test_a_content_key_is_the_hash_of_the_content(value: AnyValue) -> None:
    """A datum that has a content key has the one that its full hash gives, and what is known in part has none."""
    assert content_key(value) in ({None} if _is_vague(value) else {None, f"content:{content_hash(value)}"})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_link_from_six_significant_digits_on(value: float) -> None:
    """A float links by content exactly where five digits do not write it."""
    assert (content_key(value) is None) == (float(f"{value:.4e}") == value)


@given(ANY_VALUES)
def test_a_scalar_or_tree_links_by_size(value: AnyValue) -> None:
    """But for floats and references it is the canonical size alone that decides."""
    if not isinstance(value, float | dict):
        assert (content_key(value) is None) == (len(canonical_bytes(value)) < 16)


def test_a_float_and_an_integer_are_different_data() -> None:
    """Values that Python holds equal have different content."""
    assert content_key(10**15) != content_key(1e15)
    assert name_key("run", "x", 1) != name_key("run", "x", 1.0) != name_key("run", "x", True)


def test_a_reference_links_by_the_hash_it_carries() -> None:
    """The hash of the whole content is the key, whatever the preview and the place are."""
    assert content_key(_reference(hash=HASH, nbytes=100, preview="a")) == f"content:{HASH}"
    assert content_key(_reference(hash=HASH, preview="b", uri="file:///b")) == f"content:{HASH}"


@pytest.mark.parametrize(
    "fields",
    [{}, {"hash": FINGERPRINT}, {"hash": FINGERPRINT, "nbytes": 10**9}, {"hash": HASH, "nbytes": 15}, {"hash": 7}],
    ids=repr,
)
def test_a_reference_without_full_hash_never_links(fields: dict[str, AnyValue]) -> None:
    """A fingerprint is no evidence of equality, and neither is a tiny or an unknown content."""
    assert _keys(_reference(**fields)) == set()
    assert _keys(_reference(**fields, type="file", uri="file:///data")) - {f"file:{HASH}:file:///data"} == set()


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"x": value}, lambda value: [[value]]])
def test_a_fingerprint_inside_a_container_is_no_evidence_either(wrap: object) -> None:
    """A list or map that holds a fingerprinted reference has no full hash, and so no key by content."""
    value = wrap([_reference(hash=FINGERPRINT), "some more text that is long enough"])  # type: ignore[operator]

    assert not any(key == f"content:{content_hash(value)}" for key in _keys(value))


def test_files_link_by_path_and_content() -> None:
    """A file has both keys: the same bytes elsewhere link by content, the same bytes in place by file."""
    file = _reference(type="file", hash=HASH, uri="file:///data:1", nbytes=100)

    assert _keys(file) == {f"content:{HASH}", f"file:{HASH}:file:///data:1"}
    assert file_key(_reference(type="file", hash=HASH)) is None
    assert file_key(_reference(type="file", hash=FINGERPRINT, uri="file:///data")) is None
    assert file_key(_reference(hash=HASH, uri="file:///data")) is None


def test_members_link_to_depth_two() -> None:
    """Elements of lists, tuples, sets, maps and objects link by content; those three levels down do not."""
    first, second, third = 0.1234567, 0.2345678, 0.3456789
    for value in (
        encode([first, [second, [third]]]),
        encode((first, (second, (third,)))),
        encode({"a": first, "b": {"c": second, "d": {"e": third}}}),
        encode({1: first, 2: {3: second, 4: {5: third}}}),
    ):
        assert _keys(value) >= {f"content:{content_hash(first)}", f"content:{content_hash(second)}"}
        assert f"content:{content_hash(third)}" not in _keys(value)


def test_members_are_labelled_as_people_write_them() -> None:
    """A member's label is its role and its path."""
    found = [datum.label for datum in data({"results": encode([{"score": 1}, (2,)])})]

    assert found == ["results", "results[0]", "results[0].score", "results[1]", "results[1][0]"]


def test_a_large_container_has_a_bounded_number_of_members() -> None:
    """A thousand data a role are looked at, the container itself first, and the next role has its own thousand."""
    found = list(data({"x": list(range(10**5)), "y": 1}))

    assert [datum.role for datum in found] == ["x"] * MAX_MEMBERS + ["y"]
    assert found[0].path == ()
    assert found[999].path == (998,)


def _is_vague(value: AnyValue) -> bool:
    """Say whether there is a reference in a value that does not carry its full hash."""
    if isinstance(value, dict) and value.get(TYPE_KEY) == "reference":
        return not str(value.get("hash")).startswith("sha256:") or not isinstance(value["hash"], str)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return any(map(_is_vague, parts))


@given(st.dictionaries(TEXT, VALUES, max_size=3))
def test_every_key_is_one_of_a_datum(values: dict[str, AnyValue]) -> None:
    """`data_keys` gives for each role its name key, and the content and file keys of its data, and nothing else."""
    expected = {(name_key("a" * 32, role, value), role) for role, value in values.items() if not _is_vague(value)}
    for datum in data(values):
        expected |= {(key, datum.role) for key in (content_key(datum.value), file_key(datum.value)) if key}

    assert data_keys(PLAIN, values) == expected


@given(st.text(":a%", max_size=6), st.text(":a%", max_size=6), st.text(":a%", max_size=6), st.text(":a%", max_size=6))
@example(":", "", "", ":")
@example("%3A", "x", ":", "x")
def test_names_link_within_a_run_and_a_role(run: str, role: str, other_run: str, other_role: str) -> None:
    """Two roles share a name key only where run and role are the same, whatever characters they have."""
    same = (run, role) == (other_run, other_role)

    assert (name_key(run, role, 1) == name_key(other_run, other_role, 1)) == same


def test_the_run_is_the_workflow_or_the_trace() -> None:
    """Name keys name the workflow where there is one."""
    in_workflow: PlainRecord = {**PLAIN, "workflow_id": "w"}

    assert data_keys(in_workflow, {"x": 1}) == {(name_key("w", "x", 1), "x")}
    assert data_keys(PLAIN, {"x": 1}) == {(name_key("a" * 32, "x", 1), "x")}


@pytest.mark.parametrize(
    "value",
    [
        _reference(hash=FINGERPRINT),
        [_reference(hash=FINGERPRINT)],
        {"a": [_reference(preview="<Model>")]},
        _reference(),
    ],
    ids=repr,
)
def test_neither_fingerprint_nor_preview_makes_a_key(value: AnyValue) -> None:
    """Same name and value needs an equal value, of which a fingerprint or a preview is no evidence."""
    assert data_keys(PLAIN, {"x": value}) == set()
