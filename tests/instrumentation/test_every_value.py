"""The list of what people pass around: each is kept, or is a reference that says of it what can be said."""

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import enum
import fractions
import functools
import math
import mmap
import pathlib
import re
import sys
import tempfile
import threading
import types
import uuid
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import attrs
import numpy as np
import ormsgpack
import pandas as pd
import polars as pl
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel import task
from provtel.settings import Settings
from provtel.snapshot import Snapshots
from provtel.testing import capture
from provtel_model.record import Record
from provtel_model.values import ObjectValue, Reference, decode
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = __name__
ALL = Snapshots(Settings(hashing_share=1.0))


def _python(value: object) -> Any:
    """Return the Python value that a record gives for a value."""
    return decode(ormsgpack.unpackb(ormsgpack.packb(ALL.of(value))))


@attrs.define
class Point:
    """A class of attrs, with slots."""

    x: int
    y: float = 0.5


@attrs.frozen(slots=False)
class Frozen:
    """A class of attrs, without slots."""

    tags: tuple[str, ...]


@dataclass
class Tree:
    """A dataclass that holds others."""

    leaf: Point
    rest: list[Tree] = field(default_factory=list)


class Model(pydantic.BaseModel):
    """A model of pydantic that holds others."""

    point: Frozen
    when: dt.date
    more: dict[int, list[float]]

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)


class Pair(NamedTuple):
    """A tuple with names."""

    left: object
    right: object


class Flags(enum.Flag):
    """Flags, that may be combined."""

    A = 1
    B = 2


class Level(enum.StrEnum):
    """An enumeration of texts."""

    HIGH = "high"


ZURICH = zoneinfo.ZoneInfo("Europe/Zurich")

KEPT: list[tuple[Any, Any]] = [
    (value, value)
    for value in (
        0,
        -1,
        2**63 - 1,
        -(2**63),
        2**63,
        -(2**63) - 1,
        10**400,
        0.0,
        1e308,
        5e-324,
        math.inf,
        -math.inf,
        True,
        None,
        "",
        "text",
        "ünïcode 🌍",
        "\x00\x1f",
        "\ud800",
        b"",
        b"\x00\xff",
        1 + 2j,
        (),
        (1, (2, (3,))),
        [],
        [1, "a", None, [2.5]],
        {},
        {"a": {"b": [1, {"c": (2,)}]}},
        {1: "a", None: "b", (1, 2): "c", 2.5: "d", b"x": "e"},
        {"$set": 1, "a.b": 2, "": 3, "provtel.type": 4},
        set(),
        {1, "a", None},
        frozenset({1, (2, 3)}),
        {"set": {1, 2}, "tuple": (1,)},
        dt.date(2024, 2, 29),
        dt.time(1, 2, 3, 4),
        dt.timedelta(days=-1, microseconds=1),
        dt.datetime(2024, 2, 29, 1, 2, 3, 4),  # noqa: DTZ001  # that there is no zone is the case
        dt.datetime(2024, 2, 29, tzinfo=dt.UTC),
        pathlib.Path("/a/ü"),
        uuid.UUID(int=1),
        decimal.Decimal("1.50"),
        decimal.Decimal("Infinity"),
    )
]
KEPT += [
    (Point(1), ObjectValue(f"{HERE}.Point", {"x": 1, "y": 0.5})),
    (Frozen(("a",)), ObjectValue(f"{HERE}.Frozen", {"tags": ("a",)})),
    (
        Tree(Point(1), [Tree(Point(2))]),
        ObjectValue(
            f"{HERE}.Tree",
            {
                "leaf": ObjectValue(f"{HERE}.Point", {"x": 1, "y": 0.5}),
                "rest": [
                    ObjectValue(f"{HERE}.Tree", {"leaf": ObjectValue(f"{HERE}.Point", {"x": 2, "y": 0.5}), "rest": []})
                ],
            },
        ),
    ),
    (
        Model(point=Frozen(()), when=dt.date(2024, 1, 1), more={1: [0.5]}),
        ObjectValue(
            f"{HERE}.Model",
            {"point": ObjectValue(f"{HERE}.Frozen", {"tags": ()}), "when": dt.date(2024, 1, 1), "more": {1: [0.5]}},
        ),
    ),
    (Pair(1, "b"), ObjectValue(f"{HERE}.Pair", {"left": 1, "right": "b"})),
    (Flags.A, ObjectValue(f"{HERE}.Flags", {"name": "A", "value": 1})),
    (Level.HIGH, ObjectValue(f"{HERE}.Level", {"name": "HIGH", "value": "high"})),
    (dt.datetime(2024, 7, 1, tzinfo=ZURICH), dt.datetime(2024, 6, 30, 22, tzinfo=dt.UTC)),
    (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    (collections.deque([1, 2], maxlen=5), [1, 2]),
    (np.int64(-3), -3),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.float32(0.5), 0.5),
    (np.complex64(1 + 2j), 1 + 2j),
    (np.str_("s"), "s"),
    (np.bytes_(b"b"), b"b"),
    (np.datetime64("2024-01-01T00:00"), dt.datetime(2024, 1, 1)),  # noqa: DTZ001  # as above
    (np.timedelta64(1, "s"), dt.timedelta(seconds=1)),
    (np.datetime64("2024-01-01T00:00:00.000001999", "ns"), dt.datetime(2024, 1, 1, microsecond=1)),  # noqa: DTZ001  # as above
    (np.timedelta64(1_500, "ns"), dt.timedelta(microseconds=1)),
    ([np.float64(0.5), np.int8(1)], [0.5, 1]),
    ({np.int64(1): "a"}, {1: "a"}),
    (pd.Timestamp("2024-01-01", tz="UTC"), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
    (pl.Series([1, 2]).to_list(), [1, 2]),
]


@pytest.mark.parametrize(
    ("value", "kept"), KEPT, ids=[f"{number}-{type(row[0]).__name__}" for number, row in enumerate(KEPT)]
)
def test_kept(value: Any, kept: Any) -> None:
    """It comes back equal and of its type."""
    found = _python(value)

    assert found == kept
    assert type(found) is type(kept)


def test_not_a_number() -> None:
    """A NaN stays one, wherever it is."""
    assert math.isnan(_python(math.nan))
    assert math.isnan(_python([1.0, np.float64("nan")])[1])
    assert _python(decimal.Decimal("sNaN")).is_snan()


SCALER = "StandardScaler(with_mean=True, with_std=True, copy=True)"
X, Y = np.random.default_rng(1).random((40, 3)), np.arange(40) % 2
FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.to_datetime(["2024-01-01", "2024-01-02"])})
POLARS = pl.DataFrame({"a": [1, 2], "b": ["x", None], "c": [[1], [2, 3]]})

REFERENCES: list[tuple[str, Callable[[], Any], dict[str, Any]]] = [
    ("numpy.ndarray", lambda: np.arange(6).reshape(2, 3), {"shape": (2, 3), "dtype": "int64", "nbytes": 48}),
    ("numpy.ndarray", lambda: np.zeros(3, dtype="f2"), {"dtype": "float16", "nbytes": 6}),
    ("numpy.ndarray", lambda: np.array(["ab", "c"]), {"dtype": "<U2", "shape": (2,)}),
    ("numpy.ndarray", lambda: np.array(["2024-01-01"], dtype="M8[D]"), {"dtype": "datetime64[D]"}),
    ("numpy.rec.recarray", lambda: np.rec.array([(1, 2.0)]), {"shape": (1,)}),
    ("numpy.ma.MaskedArray", lambda: np.ma.array([1, 2], mask=[True, False]), {"shape": (2,)}),
    ("pandas.DataFrame", lambda: FRAME, {"shape": (2, 3), "preview": "a, b, c"}),
    ("pandas.Series", lambda: FRAME["a"], {"shape": (2,), "dtype": "int64"}),
    ("pandas.Series", lambda: pd.Series(["x", "y"], dtype="category"), {"shape": (2,), "dtype": "category"}),
    ("pandas.Series", lambda: pd.Series([1, None], dtype="Int64"), {"shape": (2,), "dtype": "Int64"}),
    ("polars.dataframe.frame.DataFrame", lambda: POLARS[["a", "b"]], {"shape": (2, 2), "preview": "a, b"}),
    ("polars.series.series.Series", lambda: POLARS["b"], {"shape": (2,), "dtype": "String"}),
    ("sklearn.linear_model._base.LinearRegression", lambda: LinearRegression().fit(X, Y), {}),
    ("sklearn.pipeline.Pipeline", lambda: make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y), {}),
    ("sklearn.preprocessing._data.StandardScaler", StandardScaler, {"preview": SCALER}),
    ("fractions.Fraction", lambda: fractions.Fraction(1, 3), {}),
]
UNHASHED: list[tuple[str, Callable[[], Any], dict[str, Any]]] = [
    ("object", object, {}),
    ("pandas.RangeIndex", lambda: pd.RangeIndex(1), {}),
    ("polars.dataframe.frame.DataFrame", lambda: POLARS, {"shape": (2, 3)}),
    ("polars.lazyframe.frame.LazyFrame", POLARS.lazy, {}),
    ("sklearn.ensemble._forest.RandomForestClassifier", lambda: RandomForestClassifier(2).fit(X, Y), {}),
    ("function", lambda: _python, {"preview": f"{HERE}._python"}),
    ("builtin_function_or_method", lambda: len, {"preview": "builtins.len"}),
    ("method", lambda: ALL.of, {"preview": "provtel.snapshot.Snapshots.of"}),
    ("functools.partial", lambda: functools.partial(len), {}),
    ("type", lambda: Point, {"preview": f"{HERE}.Point"}),
    ("module", lambda: math, {"preview": "math"}),
    ("generator", lambda: (n for n in [1]), {}),
    ("range", lambda: range(3), {"preview": "range(start=0, stop=3, step=1)"}),
    ("memoryview", lambda: memoryview(b"abc"), {}),
    ("array.array", lambda: array.array("d", [1.0]), {}),
    ("mmap.mmap", lambda: mmap.mmap(-1, 10), {}),
    ("re.Pattern", lambda: re.compile("a"), {}),
    ("_thread.lock", threading.Lock, {}),
    ("Exception", lambda: Exception("went", 3), {"preview": "'went', 3"}),
    ("ExceptionGroup", lambda: ExceptionGroup("many", [ValueError("a")]), {"preview": "'many'"}),
    ("mappingproxy", lambda: types.MappingProxyType({"a": 1}), {}),
]


def _ends(name: str) -> tuple[str, str]:
    # Of which module in between a class says it is, is another one in another version of its library.
    return name.partition(".")[0], name.rpartition(".")[2]


@pytest.mark.parametrize(("kind", "make", "known"), REFERENCES, ids=[row[0] for row in REFERENCES])
def test_references_with_their_content(kind: str, make: Callable[[], Any], known: dict[str, Any]) -> None:
    """It is a reference with its type, what is known of it, and a hash that is the same each time."""
    value = make()
    found = _python(value)

    assert isinstance(found, Reference)
    assert _ends(found.type) == _ends(kind)
    assert {name: getattr(found, name) for name in known} == known
    assert found.hash is not None
    assert found.hash.startswith("sha256:")
    assert found == _python(value)


@pytest.mark.parametrize(("kind", "make", "known"), UNHASHED, ids=[row[0] for row in UNHASHED])
def test_references_without_content(kind: str, make: Callable[[], Any], known: dict[str, Any]) -> None:
    """It is a reference with its type, and with no hash, because not all of it can be known."""
    found = _python(make())

    assert isinstance(found, Reference)
    assert _ends(found.type) == _ends(kind)
    assert {name: getattr(found, name) for name in known} == known
    assert found.hash is None


def test_file_handles(tmp_path: pathlib.Path) -> None:
    """A handle is known by its file, a nameless one by its type; nothing is read."""
    path = tmp_path / "f.txt"
    path.write_text("abc")
    with path.open() as text, path.open("rb") as binary, tempfile.TemporaryFile() as nameless:
        assert (_python(text).type, _python(text).uri) == ("_io.TextIOWrapper", path.as_uri())
        assert (_python(binary).type, _python(binary).uri) == ("_io.BufferedReader", path.as_uri())
        assert _python(nameless).uri is None
        assert text.read() == "abc"
    assert _python(sys.stdout).uri is None


def test_mapped_arrays(tmp_path: pathlib.Path) -> None:
    """An array that is a file is an array."""
    mapped = np.memmap(tmp_path / "f", dtype="i4", mode="w+", shape=(3,))

    found = _python(mapped)

    assert (found.type, found.shape, found.nbytes) == ("numpy.memmap", (3,), 12)
    assert found.hash == _python(np.zeros(3, dtype="i4")).hash


class Holder:
    """A class of which all is known."""

    def __init__(self, held: object) -> None:
        """Have a field."""
        self.held = held


class Slots:
    """A class of which all is known, with slots."""

    __slots__ = ("__weakref__", "a", "b")

    def __init__(self, a: object, b: object) -> None:
        """Have two fields."""
        self.a, self.b = a, b


class MoreSlots(Slots):
    """A class with slots of its own, and a dictionary."""

    __slots__ = ("__dict__", "c")
    c: int
    d: int


class Locked(threading.local):
    """A class with state that is not in its fields."""

    x: int


def test_state_that_is_not_in_fields() -> None:
    """Only where fields are all the state there is, do they make a hash."""
    more = MoreSlots(1, 2)
    more.c, more.d = 3, 4
    local = Locked()
    local.x = 1

    assert _python(Holder(1)).hash is not None
    assert _python(Slots(1, 2)).hash is not None
    assert _python(more).hash not in {None, _python(Slots(1, 2)).hash}
    assert _python(local).hash is None
    assert _python(Holder(re.compile("a"))).hash is None


def _raise(*_arguments: object, **_keywords: object) -> Any:
    raise BaseException("hostile code ran")  # noqa: TRY002  # nothing may catch it by chance


ATTACKS = (
    *("repr", "str", "bytes", "format", "hash", "eq", "ne", "lt", "bool", "len", "iter", "next", "contains", "call"),
    *("getattr", "getattribute", "setattr", "delattr", "dir", "getitem", "reduce", "reduce_ex", "getstate", "copy"),
    *("deepcopy", "sizeof", "int", "float", "index", "complex", "array", "array_interface", "array_struct", "fspath"),
    *("dataframe", "arrow_c_stream", "buffer", "length_hint", "reversed", "enter", "await", "aiter"),
    *("class", "dict", "instancecheck", "set_name", "rich_repr", "rich_console", "pydantic_serializer"),
)
METHODS = (
    "to_dict",
    "model_dump",
    "dict",
    "asdict",
    "tolist",
    "item",
    "items",
    "keys",
    "values",
    "numpy",
    "get_params",
)
PROPERTIES = ("shape", "dtype", "name", "columns", "index", "uri", "value", "_fields", "_asdict", "isoformat", "as_uri")


@pytest.mark.parametrize(
    "base", [object, list, dict, str, int, float, tuple, bytes, dt.datetime, BaseEstimator, Exception]
)
def test_hostile_classes(base: type) -> None:
    """Whatever a class defines, of whatever kind it is, none of it runs."""
    spared = {"__init__", "__new__", "__setattr__", "__dict__"}
    special = {f"__{name.strip('_')}__" for name in ATTACKS} - spared
    if base is dt.datetime:
        special -= {"__reduce__"}
    attacks: dict[str, Any] = dict.fromkeys((*special, *METHODS, *PROPERTIES), _raise)
    attacks["__class__"] = attacks["shape"] = attacks["dtype"] = attacks["name"] = property(_raise)
    hostile = type("Hostile", (base,), attacks)
    arguments = {dt.datetime: (2024, 1, 1), tuple: ([1],), list: ([1],), int: (3,), str: ("s",)}.get(base, ())
    value = base.__new__(hostile, *arguments)

    form = ALL.of_role("x", value, [])
    inside = ALL.of({"a": [value, (value,)]})

    assert len(ormsgpack.packb([form, inside])) < 1000


HOSTILE = st.sampled_from([*ATTACKS]).flatmap(
    lambda name: st.builds(lambda: type("Hostile", (), {f"__{name.strip('_')}__": _raise, "x": 1}))
)


@given(
    st.recursive(
        HOSTILE.map(object.__new__) | HOSTILE | st.integers() | st.text() | st.binary() | st.floats(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
        max_leaves=20,
    )
)
def test_any_mixture(value: Any) -> None:
    """A function gets what it was given and gives what it gave, the same objects, whatever those are."""

    @task
    def identity(given: Any) -> Any:
        return given

    with capture():
        assert identity(value) is value
    ormsgpack.packb(ALL.of(value))


def test_a_failing_value_spoils_no_other(recorded: Callable[[], list[Record]]) -> None:
    """Beside what cannot be told all else is."""

    @task(outputs=("a", "b"))
    def work(odd: object, plain: int) -> tuple[object, int]:
        return odd, plain

    work(type("Odd", (), {"__getattribute__": _raise})(), 3)

    (record,) = recorded()
    assert (record.used["plain"], record.generated["b"]) == (3, 3)
    assert record.used["odd"].type.endswith("Odd")
