"""The merge of two copies of a record: total, commutative, associative, idempotent, and right about which one stays."""

from __future__ import annotations

import itertools
from typing import Any, cast

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_model.anyvalue import TYPE_KEY, AnyValue
from provtel_model.attributes import SCOPE_NAME
from provtel_model.merge import merge
from provtel_model.record import PlainRecord

from tests.model.strategies import ANY_VALUES, REFERENCES, TEXT

IDENTITY: dict[str, Any] = {
    "trace_id": "a" * 32,
    "span_id": "b" * 16,
    "name": "train",
    "kind": "task",
    "started_at": 5,
}
STATES = ("submitted", "running", "lost", "finished", "error", "cancelled")
OPEN = ("submitted", "running", "lost")

_VALUES = (
    ANY_VALUES | REFERENCES.map(lambda reference: reference.to_value()) | st.sampled_from([1, 1.0, True, 0.0, -0.0])
)
_DATA = st.dictionaries(st.sampled_from(["lr", "loss"]), _VALUES, max_size=2)

COPIES: st.SearchStrategy[PlainRecord] = st.builds(
    lambda known, rest: cast("PlainRecord", IDENTITY | known | rest),
    st.fixed_dictionaries({"status": st.sampled_from(STATES)}),
    st.fixed_dictionaries(
        {},
        optional={
            "used": _DATA,
            "generated": _DATA,
            "ended_at": st.integers(5, 9),
            "last_seen_at": st.integers(5, 9),
            "scope": st.sampled_from([{"name": SCOPE_NAME}, {"name": "other"}, {}]),
            "attributes": st.dictionaries(TEXT, _VALUES, max_size=2),
            "tags": st.lists(TEXT, max_size=2),
        },
    ),
)


def _bytes(plain: PlainRecord) -> bytes:
    """Return bytes that are equal exactly where records are, the order of their keys aside."""
    return ormsgpack.packb(plain, option=ormsgpack.OPT_SORT_KEYS)


def _copy(status: str, **fields: AnyValue) -> PlainRecord:
    return cast("PlainRecord", IDENTITY | {"status": status} | fields)


@given(COPIES, COPIES)
def test_the_order_of_two_copies_does_not_matter(first: PlainRecord, second: PlainRecord) -> None:
    """Both ways round the same copy stays, and it is one of the two, whole."""
    kept = _bytes(merge(first, second))

    assert kept == _bytes(merge(second, first))
    assert kept in {_bytes(first), _bytes(second)}


@given(COPIES, COPIES, COPIES)
def test_the_grouping_of_three_copies_does_not_matter(one: PlainRecord, two: PlainRecord, three: PlainRecord) -> None:
    """However three copies are merged, the same one stays."""
    results = {_bytes(merge(merge(a, b), c)) for a, b, c in itertools.permutations((one, two, three))}
    results |= {_bytes(merge(a, merge(b, c))) for a, b, c in itertools.permutations((one, two, three))}

    assert len(results) == 1


@given(COPIES)
def test_a_copy_with_itself_is_itself(copy: PlainRecord) -> None:
    """A copy that comes again changes nothing."""
    assert merge(copy, copy) is copy


@given(COPIES, COPIES)
def test_a_stored_copy_stays_when_nothing_is_better(first: PlainRecord, second: PlainRecord) -> None:
    """Where both are equal the first is returned as it is, so that a store can tell a duplicate by identity."""
    same = cast("PlainRecord", dict(reversed(first.items())))

    assert merge(first, same) is first
    assert (merge(first, second) is first) or _bytes(merge(first, second)) == _bytes(second) != _bytes(first)


@pytest.mark.parametrize(("lower", "higher"), [*itertools.combinations(OPEN, 2)])
def test_a_later_state_stays(lower: str, higher: str) -> None:
    """Submitted gives way to running, and running to lost."""
    assert merge(_copy(higher), _copy(lower, last_seen_at=99, scope={"name": SCOPE_NAME}))["status"] == higher


@pytest.mark.parametrize("ended", ["finished", "error", "cancelled"])
@pytest.mark.parametrize("open_state", OPEN)
def test_an_end_stays(open_state: str, ended: str) -> None:
    """Whatever is still said of an activity that has ended, the end stays."""
    assert merge(_copy(open_state, last_seen_at=99, scope={"name": SCOPE_NAME}), _copy(ended))["status"] == ended


def test_of_two_ends_ours_stays() -> None:
    """A copy that provtel captured itself stays against one of a foreign exporter, whatever the bytes are."""
    ours = _copy("error", scope={"name": SCOPE_NAME})
    for theirs in (
        _copy("finished", scope={"name": "zz"}),
        _copy("finished"),
        _copy("error", attributes={"z": "z" * 99}),
    ):
        assert merge(ours, theirs) is ours
        assert merge(theirs, ours) is ours


def test_the_scope_does_not_decide_between_open_copies() -> None:
    """Of two heartbeats the later sign of life stays, whoever sent it."""
    early = _copy("running", last_seen_at=6, scope={"name": SCOPE_NAME})
    late = _copy("running", last_seen_at=7, scope={"name": "other"})

    assert merge(early, late) is late
    assert merge(late, early) is late


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        (None, False),
        ("", b""),
        ({TYPE_KEY: "reference", "hash": "h", "preview": "a"}, {TYPE_KEY: "reference", "hash": "h", "preview": "b"}),
    ],
    ids=repr,
)
def test_copies_that_look_equal_are_told_apart(one: AnyValue, other: AnyValue) -> None:
    """Copies that differ only in what Python or the content hash holds equal still merge the same both ways."""
    first, second = _copy("finished", used={"x": one}), _copy("finished", used={"x": other})

    assert _bytes(merge(first, second)) == _bytes(merge(second, first))


@pytest.mark.parametrize("field", ["trace_id", "span_id", "started_at"])
def test_two_records_are_not_merged(field: str) -> None:
    """Other ids, or the same ids with another start, are another record and a mistake of the caller."""
    other = cast("PlainRecord", _copy("finished") | {field: 6 if field == "started_at" else "c" * 16})

    with pytest.raises(ValueError, match="two records"):
        merge(_copy("finished"), other)
