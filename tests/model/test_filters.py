"""Filters mean what MongoDB means by them; the tables are written by hand from its manual and its matcher."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_model.anyvalue import AnyValue
from provtel_model.errors import FilterError
from provtel_model.filters import Query
from provtel_model.record import PlainRecord, key_of
from provtel_model.values import Reference, decode, encode

from tests.model.strategies import ANY_VALUES, TEXT

NAN = math.nan
MISSING = ...
START = 1_790_000_000_000_000_000


def _record(**fields: Any) -> PlainRecord:
    plain = {
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "name": "train",
        "kind": "task",
        "status": "finished",
        "started_at": START,
    }
    return cast("PlainRecord", plain | fields)


def _with(value: object) -> PlainRecord:
    """Return a record that has a value in the role `x`, or has not."""
    return _record() if value is MISSING else _record(used={"x": value})


def _matches(value: object, condition: Any, path: str = "used.x") -> bool:
    return Query({path: condition}).matches(_with(value))


EQUAL: list[tuple[object, AnyValue, bool]] = [
    (5, 5, True),
    (5, 5.0, True),
    (5, 6, False),
    (5, "5", False),
    (1, True, False),
    (0, False, False),
    (True, True, True),
    (2**53 + 1, float(2**53), False),
    (-0.0, 0, True),
    (NAN, NAN, True),
    (NAN, 1, False),
    (math.inf, math.inf, True),
    ("a", "a", True),
    ("a", "A", False),
    ("a", b"a", False),
    (b"a", b"a", True),
    ([1, 5], 5, True),
    ([1, 5], 2, False),
    ([[5]], 5, False),
    ([1, 5], [1, 5], True),
    ([1, 5], [5, 1], False),
    ([1, 5], [1], False),
    ([1, 5], [1.0, 5.0], True),
    ([[1, 5], 2], [1, 5], True),
    ([True], [1], False),
    ([], [], True),
    ({"a": 1}, {"a": 1}, True),
    ({"a": 1}, {"a": 1.0}, True),
    ({"a": 1}, {"a": True}, False),
    ({"a": 1, "b": 2}, {"a": 1}, False),
    ({"a": NAN}, {"a": NAN}, True),
    ([{"a": 1}, 2], {"a": 1}, True),
    ({}, {}, True),
    (MISSING, None, True),
    (None, None, True),
    ([None], None, True),
    ([1, None], None, True),
    ([1], None, False),
    ([], None, False),
    (0, None, False),
    ("", None, False),
    (False, None, False),
    ({}, None, False),
    (MISSING, 5, False),
    (None, 5, False),
    (None, False, False),
]


@pytest.mark.parametrize(("stored", "wanted", "equal"), EQUAL, ids=repr)
def test_equality(stored: object, wanted: AnyValue, equal: bool) -> None:
    """A value equals one of its type, numbers one another, a list its elements too, and null what is missing."""
    assert _matches(stored, wanted) is equal
    assert _matches(stored, {"$eq": wanted}) is equal
    assert _matches(stored, {"$ne": wanted}) is not equal
    assert _matches(stored, {"$not": {"$eq": wanted}}) is not equal
    assert _matches(stored, {"$in": [wanted]}) is equal
    assert _matches(stored, {"$in": ["something else", wanted]}) is equal
    assert _matches(stored, {"$nin": [wanted]}) is not equal


COMPARED: list[tuple[object, AnyValue, str]] = [
    (5, 6, "<"),
    (5, 5, "="),
    (5, 5.0, "="),
    (5, 4.5, ">"),
    (2**53 + 1, float(2**53), ">"),
    (-math.inf, -(2**63), "<"),
    ("a", "b", "<"),
    ("B", "a", "<"),
    ("é", "z", ">"),
    ("\uffff", "\U00010000", "<"),
    ("", "a", "<"),
    (False, True, "<"),
    (True, True, "="),
    (b"b", b"aa", "<"),
    (b"ab", b"aa", ">"),
    (NAN, NAN, "="),
    (NAN, 1, ""),
    (1, NAN, ""),
    (5, "4", ""),
    ("5", 4, ""),
    (5, True, ""),
    (True, 0, ""),
    (b"b", "a", ""),
    (None, 5, ""),
    (MISSING, 5, ""),
    ({"a": 9}, 5, ""),
    ([], 5, ""),
    ([1, 9], 5, "<>"),
    ([1, 5], 5, "<="),
    ([[9]], 5, ""),
    (["a", 9], 5, ">"),
]


@pytest.mark.parametrize(("stored", "operand", "signs"), COMPARED, ids=repr)
def test_order(stored: object, operand: AnyValue, signs: str) -> None:
    """Values are compared within one type only; in a list one element that fits is enough."""
    assert _matches(stored, {"$lt": operand}) is ("<" in signs)
    assert _matches(stored, {"$gt": operand}) is (">" in signs)
    assert _matches(stored, {"$lte": operand}) is bool({"<", "="} & set(signs))
    assert _matches(stored, {"$gte": operand}) is bool({">", "="} & set(signs))
    assert _matches(stored, {"$not": {"$lt": operand}}) is ("<" not in signs)


@pytest.mark.parametrize(
    ("stored", "condition", "fits"),
    [
        (5, {"$gt": 1, "$lt": 9}, True),
        (5, {"$gt": 1, "$lt": 3}, False),
        ([0, 5], {"$gt": 3, "$lt": 1}, True),  # each condition may hold for another element
        (MISSING, {"$exists": False}, True),
        (MISSING, {"$exists": True}, False),
        (None, {"$exists": True}, True),
        ([], {"$exists": True}, True),
        (None, {"$exists": False}, False),
        (5, {"$exists": 1}, True),
        (5, {"$in": []}, False),
        (5, {"$nin": []}, True),
        (MISSING, {"$in": [None, 1]}, True),
        (MISSING, {"$nin": [1]}, True),
        ([1, 2], {"$in": [[1, 2]]}, True),
        ([1, 2], {"$nin": [2]}, False),
        ("training", {"$regex": "^train"}, True),
        ("training", {"$regex": "rain"}, True),
        ("Training", {"$regex": "^train"}, False),
        ("Training", {"$regex": "(?i)^train"}, True),
        ("line\nnext", {"$regex": "^next"}, False),
        (["a", "train"], {"$regex": "^train"}, True),
        (["a", ["train"]], {"$regex": "^train"}, False),
        (5, {"$regex": "5"}, False),
        (b"train", {"$regex": "train"}, False),
        (MISSING, {"$regex": ".*"}, False),
        (MISSING, {"$not": {"$regex": ".*"}}, True),
        (MISSING, {"$not": {"$gt": 5}}, True),
        ("text", {"$not": {"$gt": 5}}, True),
        ([1, 9], {"$not": {"$gt": 5}}, False),
        (5, {"$not": {"$gt": 1, "$lt": 9}}, False),
        (5, {"$not": {"$not": {"$eq": 5}}}, True),
        ({"$gt": 1}, {"$eq": {"$gt": 1}}, True),
    ],
    ids=repr,
)
def test_operators(stored: object, condition: dict[str, Any], fits: bool) -> None:
    """Every other operator, with what is missing, in lists, and combined."""
    assert _matches(stored, condition) is fits


@pytest.mark.parametrize(
    ("stored", "path", "condition", "fits"),
    [
        ({"a": {"b": 1}}, "used.x.a.b", 1, True),
        ({"a.b": 1}, "used.x.a.b", 1, True),
        ({"a": {"b": 2}, "a.b": 1}, "used.x.a.b", 1, True),
        ({"a": {"b.c": 1}}, "used.x.a.b.c", 1, True),
        ({"": 1}, "used.x.", 1, True),
        ({"a": 1}, "used.x.b", None, True),
        (5, "used.x.a", None, True),
        ([{"a": 1}, {"a": 2}], "used.x.a", 2, True),
        ([{"a": 1}, {"a": 2}], "used.x.a", {"$ne": 2}, False),
        ([{"a": 1}, {"a": 2}], "used.x.1.a", 2, True),
        ([{"a": 1}, {"a": 2}], "used.x.0.a", 2, False),
        ([{"0": 1}], "used.x.0", 1, True),
        ([1, 2], "used.x.1", 2, True),
        ([1, 2], "used.x.2", {"$exists": False}, True),
        ([[1, 2]], "used.x.0.1", 2, True),
        ([[{"a": 1}]], "used.x.a", 1, False),
        ([{"a": [1, 2]}], "used.x.a", 2, True),
        ([{"a": 1}, {"b": 2}], "used.x.a", None, True),  # one element lacks it
        ([{"a": 1}, {"b": 2}], "used.x.a", {"$exists": True}, True),
        ([{"a": 1}, {"b": 2}], "used.x.a", {"$ne": None}, False),
        ([{"a": 1}], "used.x.a", None, False),
        ([1, 2], "used.x.a", None, False),  # no element could have it
        ([1, 2], "used.x.a", {"$exists": False}, True),
        ([], "used.x.a", None, False),
        ([], "used.x.a", {"$ne": 5}, True),
        ([5], "used.x.0.a", None, False),
        ([1, 2], "used.x.\N{SUPERSCRIPT TWO}", {"$exists": False}, True),
        ([1, 2], "used.x.\N{ARABIC-INDIC DIGIT ZERO}", {"$exists": False}, True),
        ([1, 2], "used.x." + "9" * 5000, {"$exists": False}, True),
        ([1, 2], "used.x.-1", {"$exists": False}, True),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_paths(stored: AnyValue, path: str, condition: Any, fits: bool) -> None:
    """Dotted paths lead through maps, lists and keys that contain dots."""
    assert _matches(stored, condition, path) is fits


def test_combinators() -> None:
    """$and and $or hold as they say, nested too, and several fields must all fit."""
    plain = _record(used={"x": 1, "y": 2})

    assert Query().matches(plain)
    assert Query({"used.x": 1, "used.y": 2}).matches(plain)
    assert not Query({"used.x": 1, "used.y": 3}).matches(plain)
    assert Query({"$or": [{"used.x": 9}, {"used.y": 2}]}).matches(plain)
    assert not Query({"$or": [{"used.x": 9}, {"used.y": 9}]}).matches(plain)
    assert Query({"$and": [{"used.x": 1}, {"$or": [{"used.y": 2}]}], "status": "finished"}).matches(plain)
    assert not Query({"$and": [{"used.x": 1}, {"used.x": 2}]}).matches(plain)


def test_computed_fields() -> None:
    """The id, the run and the duration can be asked for though no record stores them."""
    plain = _record(ended_at=START + 1_500_000_000)

    assert Query({"id": "a" * 32 + "-" + "b" * 16, "run": "a" * 32, "duration": 1.5}).matches(plain)
    assert Query({"run": "w"}).matches(_record(workflow_id="w"))
    assert Query({"duration": {"$exists": False}}).matches(_record())


@pytest.mark.parametrize(
    "moment",
    [
        START,
        float(START),
        dt.datetime(2026, 9, 21, 14, 13, 20, tzinfo=dt.UTC),
        "2026-09-21T14:13:20+00:00",
        "2026-09-21T16:13:20+02:00",
    ],
    ids=repr,
)
def test_times_are_compared_as_moments(moment: object) -> None:
    """Nanoseconds, datetimes and ISO 8601 texts name the same moment, in every operator."""
    for condition, fits in (
        (moment, True),
        ({"$gte": moment, "$lte": moment}, True),
        ({"$gt": moment}, False),
        ({"$in": [moment]}, True),
        ({"$ne": moment}, False),
    ):
        assert Query({"started_at": condition}).matches(_record()) is fits


@pytest.mark.parametrize(
    ("where", "hint"),
    [
        ({"nmae": 1}, "did you mean 'name'"),
        ({"qqqqqqqq": 1}, "known fields are"),
        ({"": 1}, "unknown field"),
        ({1: 1}, "unknown field"),
        ({"$nor": [{}]}, "unknown operator"),
        ({"name": {"$where": "1"}}, "unknown operator"),
        ({"name": {"$eq": 1, "plain": 2}}, "unknown operator"),
        ({"name": {"$gt": None}}, r"\$gt compares"),
        ({"name": {"$gt": [1]}}, r"\$gt compares"),
        ({"name": {"$in": "text"}}, r"\$in takes a list"),
        ({"name": {"$in": 5}}, r"\$in takes a list"),
        ({"name": {"$not": 5}}, r"\$not takes"),
        ({"name": {"$not": {}}}, r"\$not takes"),
        ({"name": {"$not": {"name": 5}}}, r"\$not takes"),
        ({"name": {"$regex": "("}}, "not a regular expression"),
        ({"name": {"$regex": r"(a)\1"}}, "not a regular expression"),
        ({"name": {"$regex": 5}}, "not a regular expression"),
        ({"name": {"$regex": b"a"}}, "not a regular expression"),
        ({"name": ...}, "cannot be compared with"),
        ({"started_at": "yesterday"}, "compared with a time"),
        ({"$and": []}, r"\$and takes a list"),
        ({"$or": {"name": 1}}, r"\$or takes a list"),
        ({"$and": [5]}, "a filter is a map"),
        ([], "a filter is a map"),
        ("name", "a filter is a map"),
    ],
    ids=repr,
)
def test_what_is_not_understood_is_refused(where: Any, hint: str) -> None:
    """An unknown field or operator, or an operand of the wrong type, is an error that says what is known."""
    with pytest.raises(FilterError, match=hint):
        Query(where)


@pytest.mark.parametrize("word", ["$and", "$not"])
def test_a_filter_nested_too_deep_is_refused(word: str) -> None:
    """A filter of a thousand levels is an error, and not the end of the process."""
    where: dict[str, Any] = {"name": {"$eq": 1}}
    for _ in range(1000):
        where = {"$and": [where]} if word == "$and" else {"name": {"$not": where["name"]}}

    with pytest.raises(FilterError, match="nested deeper"):
        Query(where)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"limit": 0}, "limit is 0"),
        ({"limit": -5}, "limit is -5"),
        ({"sort": [("nmae", 1)]}, "did you mean 'name'"),
        ({"sort": [("name", 2)]}, "use 1 .ascending. or -1"),
    ],
    ids=repr,
)
def test_wrong_sorts_and_limits_are_refused(options: dict[str, Any], hint: str) -> None:
    """Sort fields are checked like those of filters, and a limit is positive."""
    with pytest.raises(FilterError, match=hint):
        Query(**options)


SORTED = [
    MISSING,
    NAN,
    -math.inf,
    -1,
    0.5,
    1,
    math.inf,
    "",
    "B",
    "a",
    {},
    {"a": 1},
    b"b",
    b"aa",
    b"ab",
    False,
    True,
]
"""One value of each kind, in the order of MongoDB."""


@pytest.mark.parametrize("seed", range(5))
def test_values_sort_by_type_and_then_by_value(seed: int) -> None:
    """The order of any values is that of MongoDB, in both directions; what is missing comes first."""
    plains = [_with(value) for value in SORTED]
    shuffled = random.Random(seed).sample(plains, len(plains))  # noqa: S311  # a test's order

    assert list(map(id, Query(sort=[("used.x", 1)]).ordered(list(shuffled)))) == list(map(id, plains))
    assert list(map(id, Query(sort=[("used.x", -1)]).ordered(list(shuffled)))) == list(map(id, plains[::-1]))


def test_ties_are_broken_by_the_next_field_and_then_by_id() -> None:
    """The order is total: by the fields in turn, each in its direction, and by id, ascending, at last."""
    plains = [
        _record(name=name, started_at=start, span_id=span * 16)
        for name, start, span in itertools.product("ab", (1, 2), "cd")
    ]
    found = Query(sort=[("name", -1), ("started_at", 1)]).ordered(plains[::-1])

    assert [(plain["name"], plain["started_at"], plain["span_id"][0]) for plain in found] == [
        *(("b", 1, "c"), ("b", 1, "d"), ("b", 2, "c"), ("b", 2, "d")),
        *(("a", 1, "c"), ("a", 1, "d"), ("a", 2, "c"), ("a", 2, "d")),
    ]


def test_the_newest_come_first_unless_asked_otherwise() -> None:
    """Without a sort the order is by start, newest first, and the limit cuts at its end."""
    plains = [_record(started_at=start, span_id=f"{start:016x}") for start in (3, 1, 2)]

    assert [plain["started_at"] for plain in Query().ordered(list(plains))] == [3, 2, 1]
    assert [plain["started_at"] for plain in Query(limit=2).ordered(list(plains))] == [3, 2]


@given(st.lists(ANY_VALUES, min_size=2, max_size=5), st.integers(0, 2**32))
def test_the_order_does_not_depend_on_where_it_began(values: list[AnyValue], seed: int) -> None:
    """Whatever the values and however they come in, the result has one order."""
    plains = [_record(used={"x": value}, span_id=f"{number:016x}") for number, value in enumerate(values)]
    query = Query(sort=[("used.x", 1)])
    shuffled = random.Random(seed).sample(plains, len(plains))  # noqa: S311  # a test's order

    assert list(map(key_of, query.ordered(shuffled))) == list(map(key_of, query.ordered(plains)))


_PATHS = st.sampled_from(["used.x", "used.x.a", "used.x.0", "used.x.0.a", "used.x.a.0", "attributes"])
_OPERATORS = st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$regex"])
_STORED = st.one_of(ANY_VALUES, st.lists(st.dictionaries(st.sampled_from("ab0"), ANY_VALUES), max_size=3))


@given(_STORED, _PATHS, _OPERATORS, ANY_VALUES)
@settings(max_examples=300)
def test_an_accepted_filter_answers_for_every_record(
    stored: AnyValue, path: str, operator: str, operand: AnyValue
) -> None:
    """Any condition is either refused at once or holds or not for any record; the laws of logic hold for it."""
    try:
        holds = _matches(stored, {operator: operand}, path)
    except FilterError:
        return

    assert _matches(stored, {"$not": {operator: operand}}, path) is not holds
    assert Query({"$and": [{path: {operator: operand}}, {}]}).matches(_with(stored)) is holds
    assert Query({"$or": [{path: {operator: operand}}]}).matches(_with(stored)) is holds


@given(_STORED, _PATHS, ANY_VALUES, ANY_VALUES)
@settings(max_examples=200)
def test_operators_agree_with_each_other(stored: AnyValue, path: str, one: AnyValue, other: AnyValue) -> None:
    """$in is $eq of any, $nin and $ne are their opposites, and $gte is $gt or $eq."""

    def holds(condition: Any) -> bool:
        return _matches(stored, condition, path)

    assert holds({"$in": [one, other]}) is (holds({"$eq": one}) or holds({"$eq": other}))
    assert holds({"$nin": [one, other]}) is not holds({"$in": [one, other]})
    assert holds({"$ne": one}) is not holds({"$eq": one})
    if isinstance(one, bool | int | float | str | bytes):
        assert holds({"$gte": one}) is (holds({"$gt": one}) or holds({"$eq": one}))
        assert holds({"$lte": one}) is (holds({"$lt": one}) or holds({"$eq": one}))


@given(ANY_VALUES)
def test_every_value_equals_itself(value: AnyValue) -> None:
    """A record is found by the exact value it holds, NaN and tags included."""
    assert _matches(value, {"$eq": decode(value)})
    assert _matches([1, value], {"$eq": decode(value)})
    assert Query({"used": {"$eq": {"x": decode(value)}}}).matches(_with(value))


@given(st.dictionaries(TEXT, ANY_VALUES, min_size=1, max_size=3))
def test_any_key_is_found_by_its_name(values: dict[str, AnyValue]) -> None:
    """Whatever dots and dollars a key contains, the path that writes it out finds it."""
    plain = _record(attributes=values)
    for key, value in values.items():
        assert Query({f"attributes.{key}": {"$eq": decode(value)}}).matches(plain)


def test_python_values_are_compared_in_their_stored_form() -> None:
    """Operands may be whatever a task may use: tuples, sets and dates are found."""
    for value in ((1, 2), {3, 4}, dt.date(2026, 5, 1), 2**70, {1: "one"}):
        assert _matches(encode(value), {"$eq": value})
        assert _matches(encode([value]), {"$eq": [value]})


def test_references_are_equal_by_content() -> None:
    """Two references with the same hash are the same value, whatever their previews say."""
    one = Reference("ndarray", hash="sha256:00", preview="a")

    assert _matches(one.to_value(), {"$eq": Reference("ndarray", hash="sha256:00", preview="b")})
    assert _matches([one.to_value()], {"$eq": [one]})
    assert not _matches(one.to_value(), {"$eq": Reference("ndarray", hash="sha256:01", preview="a")})
