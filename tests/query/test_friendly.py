"""Values and records as JSON, and as short texts."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import pathlib
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_model.record import Record
from provtel_model.values import ObjectValue, Reference, encode
from provtel_query.friendly import as_json, record_as_json
from provtel_query.text import cut, duration_text, size_text, value_text, values_text

from tests.query.activities import activity, file, id_of

NAN = float("nan")
MOMENT = dt.datetime(2026, 5, 1, 12, 30, tzinfo=dt.UTC)
IDENTITY = uuid.UUID(int=1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("text", "text"),
        (NAN, "NaN"),
        (float("inf"), "Infinity"),
        (-float("inf"), "-Infinity"),
        (b"\0\1", "AAE="),
        ((1, (2, 3)), [1, [2, 3]]),
        ({3}, [3]),
        (frozenset({3}), [3]),
        ({1: "a", "b": NAN}, {"1": "a", "b": "NaN"}),
        ({1: "a", "1": "b"}, [[1, "a"], ["1", "b"]]),
        ({(1, 2): 3}, [[[1, 2], 3]]),
        ({"provtel.type": "mine"}, {"provtel.type": "mine"}),
        (2**70, 2**70),
        (-(2**70), -(2**70)),
        (1 + 2j, [1.0, 2.0]),
        (decimal.Decimal("1.10"), "1.10"),
        (IDENTITY, str(IDENTITY)),
        (MOMENT, "2026-05-01T12:30:00+00:00"),
        (MOMENT.date(), "2026-05-01"),
        (dt.time(12, 30), "12:30:00"),
        (dt.timedelta(days=1, seconds=2), [1, 2, 0]),
        (pathlib.Path("/a/b"), "/a/b"),
        ("\ud800", "\ufffd\ufffd\ufffd"),
        (ObjectValue("m.C", {"a": (1,)}), {"class": "m.C", "a": [1]}),
        (Reference("array", shape=(2, 3), dtype="f8"), {"type": "array", "dtype": "f8", "shape": [2, 3]}),
    ],
)
def test_values_as_json(value: object, expected: object) -> None:
    """Each kind of value has a form that JSON can say and a program can use."""
    found = as_json(encode(value))

    assert found == expected
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    "damaged",
    [
        {"provtel.type": "tuple"},
        {"provtel.type": "int", "value": "no number"},
        {"provtel.type": "map", "entries": [1]},
        {"provtel.type": "object", "fields": 3},
        {"provtel.type": "from the future", "a": 1},
        {"provtel.type": 5},
    ],
)
def test_damaged_tags_are_shown_as_they_are(damaged: dict[str, Any]) -> None:
    """A tag that says nothing is shown, never an error."""
    assert as_json(damaged) == damaged
    assert value_text(damaged)


def test_a_record_as_json() -> None:
    """What every record has is always there, with times in ISO 8601; what is not known is null, empty or absent."""
    plain = activity(1, "train", at=(1, 2.5), used={"x": (1,)}, parent=7, tags=["a"], workflow_id="w", pid=3)
    found = record_as_json(Record({**plain, "events": [{"name": "e", "time": plain["started_at"]}]}))

    assert found == {
        "id": id_of(1),
        "name": "train",
        "kind": "task",
        "status": "finished",
        "run": "w",
        "workflow_id": "w",
        "workflow_name": None,
        "parent_id": id_of(7),
        "started_at": "2023-11-14T22:13:21+00:00",
        "ended_at": "2023-11-14T22:13:22.500000+00:00",
        "duration": 1.5,
        "used": {"x": [1]},
        "generated": {},
        "error": None,
        "telemetry": {},
        "pid": 3,
        "tags": ["a"],
        "events": [{"name": "e", "time": "2023-11-14T22:13:21+00:00"}],
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, "3"),
        ("a\nb", '"a\\nb"'),
        (0.1 + 0.2, "0.3"),
        (NAN, "nan"),
        (b"abc", "<3 B>"),
        ([1, "b", None], '[1, "b", null]'),
        ((1, 2), "(1, 2)"),
        ({1, 2}, "{1, 2}"),
        ({"a": [1]}, "{a: [1]}"),
        (ObjectValue("m.Config", {"a": 1}), "Config(a: 1)"),
        (pathlib.Path("/a/b"), "/a/b"),
        (file("file:///a/b.csv"), "b.csv"),
        (Reference("numpy.ndarray", shape=(3, 4), preview="[0.0, …]"), "<ndarray 3x4>"),
        (Reference("bytes", nbytes=2_500_000), "<bytes 2.5 MB>"),
        (Reference("m.Thing"), "<Thing>"),
        (Reference("str", preview="one\n two"), "one two"),
        (list(range(10**6)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …"),
    ],
)
def test_values_as_text(value: object, expected: str) -> None:
    """Each kind of value has a short text on one line."""
    assert value_text(encode(value)) == expected


@given(st.text(), st.integers(1, 60))
def test_cut_texts_are_safe_for_a_terminal(text: str, width: int) -> None:
    """Whatever a text holds, it is cut to its width and has nothing that a terminal would act on."""
    found = cut(text, width)

    assert len(found) <= width
    assert found.isprintable()


def test_values_by_role() -> None:
    """Values are written with their roles, each cut so that all have a place."""
    assert values_text({"i1": 3, "name": "x"}) == 'i1=3 name="x"'
    assert len(values_text({f"role{number}": "long" * 30 for number in range(4)}, 60)) == 60


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, ""),
        (0, "0 s"),
        (3e-8, "30 ns"),
        (2.5e-5, "25 us"),
        (0.0123, "12.3 ms"),
        (1.5, "1.5 s"),
        (83, "1m23s"),
        (3723, "1h02m"),
        (dt.timedelta(seconds=2), "2 s"),
    ],
)
def test_durations(seconds: float | dt.timedelta | None, expected: str) -> None:
    """A length of time is told in a unit that suits it."""
    assert duration_text(seconds) == expected


@pytest.mark.parametrize(("nbytes", "expected"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2e15, "2 PB")])
def test_sizes(nbytes: float, expected: str) -> None:
    """A number of bytes is told in a unit that suits it."""
    assert size_text(nbytes) == expected
