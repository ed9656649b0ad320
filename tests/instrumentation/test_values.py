"""Values: what fits is kept without loss, what does not becomes a reference, and none can do harm."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import io
import math
import os
import pathlib
import textwrap
import types
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import ormsgpack
import pandas as pd
import polars as pl
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel import reference
from provtel.redaction import REDACTED
from provtel.settings import Settings
from provtel.snapshot import Snapshots
from provtel_model.hashing import content_hash
from provtel_model.values import ObjectValue, Reference, decode, encode
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

SNAPSHOTS = Snapshots(Settings(hashing_share=1.0))

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.complex_numbers()
    | st.decimals()
    | st.uuids()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.builds(Path, st.text("abc/", max_size=9))
)
KEYS = st.text(max_size=5) | st.integers() | st.just("provtel.type")
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(st.integers() | st.text(max_size=5), max_size=4)
        | st.frozensets(st.integers(), max_size=4)
    ),
    max_leaves=10,
)


def _python(value: object) -> Any:
    """Return the Python value that a record gives for a value."""
    return decode(ormsgpack.unpackb(ormsgpack.packb(SNAPSHOTS.of(value))))


@given(VALUES)
def test_snapshot_is_the_wire_form(value: Any) -> None:
    """Within the limits a snapshot is what `encode` says, and the journal's bytes give it back."""
    form = SNAPSHOTS.of(value)

    assert content_hash(form) == content_hash(encode(value))
    assert content_hash(ormsgpack.unpackb(ormsgpack.packb(form))) == content_hash(form)


@dataclasses.dataclass
class Point:
    """A dataclass with a secret."""

    x: int
    api_key: str = "k"


@dataclasses.dataclass(slots=True)
class Slotted:
    """A dataclass without a dictionary."""

    x: int


class Colour(enum.Enum):
    """An enumeration."""

    RED = "r"


class Number(enum.IntEnum):
    """An enumeration that is a number."""

    ONE = 1


class Text(str):
    """A text of a user's own class."""

    __slots__ = ()


class Pair(NamedTuple):
    """A tuple with names."""

    left: int
    right: list[int]


HERE = __name__


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Point(1), ObjectValue(f"{HERE}.Point", {"x": 1, "api_key": REDACTED})),
        (Slotted(1), ObjectValue(f"{HERE}.Slotted", {"x": 1})),
        (Colour.RED, ObjectValue(f"{HERE}.Colour", {"name": "RED", "value": "r"})),
        (Number.ONE, ObjectValue(f"{HERE}.Number", {"name": "ONE", "value": 1})),
        (Pair(1, [2]), ObjectValue(f"{HERE}.Pair", {"left": 1, "right": [2]})),
        (argparse.Namespace(lr=0.1), ObjectValue("argparse.Namespace", {"lr": 0.1})),
        (types.SimpleNamespace(a=1), ObjectValue("types.SimpleNamespace", {"a": 1})),
        (Text("t"), "t"),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.deque([1, 2]), [1, 2]),
        (bytearray(b"ab"), b"ab"),
        (np.float64(0.5), 0.5),
        (np.int8(-3), -3),
        (np.bool_(True), True),  # the value is the test
        (np.str_("s"), "s"),
        (2**80, 2**80),
        (decimal.Decimal("1.50"), decimal.Decimal("1.50")),
        (uuid.UUID(int=5), uuid.UUID(int=5)),
        (pathlib.PurePosixPath("/a"), Path("/a")),
        ("\ud800", "\ud800"),
        ({(1, 2): 3}, {(1, 2): 3}),
        ({"$set": 1, "a.b": 2}, {"$set": 1, "a.b": 2}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_kept_values(value: Any, kept: Any) -> None:
    """What has a form of its own, or fields that are all there is, is kept."""
    found = _python(value)

    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0])
def test_special_floats(value: float) -> None:
    """Every float is what it was."""
    assert repr(_python(value)) == repr(value)
    assert repr(_python(np.float64(value))) == repr(value)


class Hostile:
    """Fails whatever is asked of it."""

    def __init__(self) -> None:
        """Have a field."""
        self.harmless = 1

    def _fail(self, *_: object) -> Any:
        raise BaseException("hostile code ran")  # noqa: TRY002  # nothing may catch it by chance

    __repr__ = __str__ = __eq__ = __len__ = __iter__ = __bool__ = __getattr__ = __getitem__ = __reduce__ = _fail
    __hash__ = None  # type: ignore[assignment]  # cannot be a key
    to_dict = property(_fail)
    __class__ = property(_fail)


class HostileMeta(type):
    """A class of classes that fails whatever is asked of it."""

    def __getattribute__(cls, name: str) -> Any:
        """Fail."""
        raise BaseException("hostile code ran")  # noqa: TRY002  # as above


class HostileList(list[Any]):
    """A list that fails when anybody goes over it."""

    __iter__ = __len__ = __getitem__ = Hostile._fail


class HostileDict(dict[str, Any]):
    """A map that fails when anybody goes over it."""

    __iter__ = __len__ = items = keys = Hostile._fail


def test_hostile_values() -> None:
    """No code of a value's class runs, so none of it can fail."""
    hostile = HostileMeta("WithMeta", (), {})
    sneaky = Hostile()

    assert _python(sneaky).type == f"{HERE}.Hostile"
    assert _python([sneaky, {"a": sneaky}])[0].type == f"{HERE}.Hostile"
    assert isinstance(_python(hostile), Reference)
    assert _python(HostileList([1, 2])) == [1, 2]
    assert _python(HostileDict(a=1)) == {"a": 1}


class HostileHash(type):
    """A class of classes that fails when anybody uses one as a key."""

    __hash__ = __eq__ = Hostile._fail


def test_classes_are_not_asked_for_their_hash() -> None:
    """A class is looked up by what it is, not by what it says of itself."""
    made: Any = type.__call__(HostileHash, "WithHash", (), {"x": 1})
    value = made()
    value.data = [1]

    assert _python(value).type == f"{HERE}.WithHash"
    assert _python([value, {"a": value}])[0].preview is None


class HostileKey:
    """A key that fails when it is looked up."""

    def __init__(self) -> None:
        """Be as any other key at first."""
        self.hostile = False

    def __hash__(self) -> int:
        """Fail once it is told to."""
        if self.hostile:
            raise BaseException("hostile code ran")  # noqa: TRY002  # as above
        return 1

    def __eq__(self, other: object) -> bool:
        """Fail likewise."""
        return hash(self) == hash(other)


def test_keys_are_not_asked_for_their_hash() -> None:
    """A container is copied without looking anything up in it."""
    key = HostileKey()
    held = {key: 1, "a": 2}, {key}, frozenset([key])
    key.hostile = True

    form: Any = SNAPSHOTS.of(held)
    by_key, *sets = form["items"]

    assert by_key["entries"][1] == ["a", 2]
    assert [len(made["items"]) for made in sets] == [1, 1]


def test_cycles_and_depth() -> None:
    """A value inside itself, and one that is nested too deep, end in a reference."""
    inside: list[Any] = [1]
    inside.append(inside)
    deep: list[Any] = []
    for _ in range(50):
        deep = [deep]

    assert _python(inside) == [1, Reference("list", preview="…")]
    assert str(SNAPSHOTS.of(deep)).count("[") == SNAPSHOTS.max_depth
    loop = types.SimpleNamespace()
    loop.me = loop
    assert isinstance(_python(loop).fields["me"], Reference)


@pytest.mark.parametrize(
    ("value", "kind", "shape", "preview"),
    [
        (list(range(2000)), "list", (2000,), "0, 1, 2, 3, 4, 5, 6, 7, …"),
        ({str(n): n for n in range(2000)}, "dict", (2000,), "0: 0, 1: 1"),
        (["x" * 4000] * 100, "list", (100,), "'xxx"),
        ((0.5,) * 2000, "tuple", (2000,), "0.5, 0.5"),
        ("é" * 5000, "str", None, "ééé"),
        (b"\x00" * 5000, "bytes", None, "b'\\x00"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_large_values(value: Any, kind: str, shape: tuple[int, ...] | None, preview: str) -> None:
    """What is larger than a record may hold is known by its hash, which is that of the value itself."""
    found = _python(value)

    assert (found.type, found.shape) == (kind, shape)
    assert found.preview.startswith(preview)
    assert found.hash.startswith("sha256:")
    assert _python(value).hash == found.hash
    if kind in {"str", "bytes"}:
        assert found.hash == content_hash(encode(value))


def test_huge_values_cost_little() -> None:
    """A value of 100 MB is looked at only here and there."""
    text, blob, nested = _python("x" * 10**8), _python(b"x" * 10**8), _python([[1] * 1000] * 1000)

    assert (text.hash[:4], text.nbytes) == ("fp1:", 10**8)
    assert (blob.hash[:4], blob.nbytes) == ("fp1:", 10**8)
    assert (nested.hash, nested.shape) == (None, (1000,))


def test_arrays() -> None:
    """An array is known by its content in C order, whatever its layout; a large one by a sample of it."""
    array = np.arange(12.0).reshape(3, 4)
    found = _python(array)

    assert (found.type, found.shape, found.dtype, found.nbytes) == ("numpy.ndarray", (3, 4), "float64", 96)
    assert found.preview == "[0.0, 1.0, 2.0, 3.0, …]"
    assert found.hash.startswith("sha256:")
    assert _python(np.asfortranarray(array)).hash == found.hash
    assert _python(np.arange(24.0).reshape(3, 8)[:, ::2] / 2).hash == found.hash
    assert _python(array.T).hash != found.hash
    assert _python(array.astype("float32")).hash != found.hash
    assert _python(array + 1e-9).hash != found.hash
    large = np.zeros((1000, 1000))
    assert _python(large).hash.startswith("fp1:")
    assert _python(np.asfortranarray(large)).hash == _python(large).hash
    assert _python(np.array([object()])).hash is None
    assert _python(np.array(3)).shape == ()
    assert _python(np.zeros((0, 3))).shape == (0, 3)
    assert _python(np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])).hash.startswith("sha256:")


def test_estimators() -> None:
    """A fitted estimator of scikit-learn is known by its parameters and what it learned."""
    x, y = np.random.default_rng(1).random((40, 3)), np.arange(40) % 2
    one, same, other = (SVC(C=c).fit(x, y) for c in (1.0, 1.0, 2.0))
    found = _python(one)

    assert found.type == "sklearn.svm._classes.SVC"
    assert "C=1.0" in found.preview
    assert found.hash == _python(same).hash != _python(other).hash
    assert _python(LogisticRegression()).hash != _python(LogisticRegression().fit(x, y)).hash


def test_frames() -> None:
    """A frame of pandas or Polars is known by its columns and their content, a small one with a hash."""
    data = {"a": [1, 2, 3], "b": ["x", None, "z"], "c": [0.5, 1.5, 2.5]}
    for frame, other in (
        (pd.DataFrame(data), pd.DataFrame({**data, "c": [0.5, 1.5, 2.0]})),
        (pl.DataFrame(data), pl.DataFrame({**data, "c": [0.5, 1.5, 2.0]})),
    ):
        found = _python(frame)
        assert (found.type.rpartition(".")[2], found.shape, found.preview) == ("DataFrame", (3, 3), "a, b, c")
        assert found.nbytes > 40
        assert found.hash == _python(frame[["a", "b", "c"]]).hash
        assert found.hash != _python(other).hash
        assert found.hash != _python(frame[["a", "c", "b"]]).hash
        column = _python(frame["c"])
        assert (column.type.rpartition(".")[2], column.shape, column.dtype.lower()) == ("Series", (3,), "float64")
        assert column.hash.startswith("sha256:")
    assert _python(pd.DataFrame(data, index=[1, 2, 3])).hash != _python(pd.DataFrame(data)).hash
    assert _python(pd.DataFrame({"a": [object()]})).hash is None
    for large in (pd.DataFrame, pl.DataFrame, pd.Series, pl.Series):
        same, other = (
            {"a": range(400_000), "b": [str(n % 7) for n in range(start, 400_000 + start)]} for start in (0, 1)
        )
        made = [
            large(data) if large in {pd.DataFrame, pl.DataFrame} else large(data["b"]) for data in (same, same, other)
        ]
        first, again, different = (_python(value).hash for value in made)
        assert first.startswith("fp1:")
        assert first == again != different
    assert _python(pd.DataFrame(np.zeros((200_000, 90)))).hash is None
    assert _python(pd.Timestamp("2020-01-01T12:00")) == dt.datetime(2020, 1, 1, 12)  # noqa: DTZ001  # it has no zone
    assert _python(pd.NaT).type.endswith(".NaTType")


class Settled(pydantic.BaseModel):
    """A model of pydantic."""

    rate: float
    api_key: str = "k"


def test_models_of_pydantic() -> None:
    """A model is kept by its fields."""
    assert _python(Settled(rate=0.5)) == ObjectValue(f"{HERE}.Settled", {"rate": 0.5, "api_key": REDACTED})


def test_opaque_values_have_no_hash() -> None:
    """Where there is more to a value than can be seen, nothing says that two of it are equal."""

    class Holder:
        def __init__(self, held: object) -> None:
            self.held = held

    assert _python(Holder(1)).hash.startswith("sha256:")
    assert _python(Holder(object())).hash is None
    assert _python(Holder(io.BytesIO())).hash is None
    assert _python(Holder({"password": "x"})).hash is None
    assert _python(Holder("ftp://me:hunter2@h/")).hash is None
    assert _python(["ftp://me:hunter2@h/"] * 1500).hash is None
    assert _python(object()) == Reference("object")


def test_files_functions_classes_and_errors(tmp_path: Path) -> None:
    """Things that are no data are known by what they are called."""
    with (tmp_path / "data.txt").open("w") as handle:
        found = _python(handle)

    assert (found.type, found.uri) == ("_io.TextIOWrapper", (tmp_path / "data.txt").as_uri())
    assert _python(textwrap.dedent) == Reference("function", preview="textwrap.dedent")
    assert _python(textwrap.TextWrapper) == Reference("type", preview="textwrap.TextWrapper")
    assert _python(math) == Reference("module", preview="math")
    assert _python(ValueError("bad", 3)) == Reference("ValueError", preview="'bad', 3")


@pytest.mark.parametrize(
    "name",
    ["password", "DB_PASSWORD", "api_key", "apiKey", "x-api-key", "auth_token", "token", "client_secret", "Cookie"],
)
def test_secret_names(name: str) -> None:
    """A value under a telling name is hidden, at any depth."""
    assert SNAPSHOTS.of_role(name, "hunter2") == REDACTED
    assert SNAPSHOTS.of_role("config", {"deep": [{name: "hunter2"}]}) == {"deep": [{name: REDACTED}]}
    assert SNAPSHOTS.of_role(name, None) is None


class Key(enum.StrEnum):
    """Names as members of an enumeration."""

    PASSWORD = "hunter2"  # noqa: S105  # it is the case
    RATE = "rate"


class ApiKey:
    """A class whose name says that it hides something."""

    def __init__(self, text: str) -> None:
        """Hide it."""
        self.text = text


@pytest.mark.parametrize(
    "value",
    [
        {b"password": b"hunter2"},
        {Text("password"): "hunter2"},
        {Key.PASSWORD: 1},
        Key.PASSWORD,
        [Key.PASSWORD],
        {"deep": ({"a": Point(1, "hunter2")},)},
        Settled(rate=1, api_key="hunter2"),
        argparse.Namespace(password="hunter2"),  # noqa: S106  # it is the case
        types.SimpleNamespace(client_secret="hunter2"),  # noqa: S106  # as above
        collections.OrderedDict(token="hunter2"),  # noqa: S106  # as above
        pydantic.SecretStr("hunter2"),
        np.array(["hunter2", "ftp://me:hunter2@h/"]),
        ApiKey("hunter2"),
        [ApiKey("hunter2")] * 2000,
        dict([(b"password", b"hunter2"), *((number, number) for number in range(2000))]),
        [{b"password": "hunter2"}] * 2000,
        types.SimpleNamespace(connection=types.SimpleNamespace(pwd="hunter2")),  # noqa: S106  # as above
        os.environ,
    ],
    ids=lambda value: type(value).__name__,
)
def test_secrets_at_any_depth(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A telling name is a key of text or bytes, a field, a member of an enumeration, or a class."""
    monkeypatch.setitem(os.environ, "SOME_PASSWORD", "hunter2")

    form = Snapshots(Settings(hashing_share=1.0)).of(value)

    assert "hunter2" not in str(form)
    assert "hunter2" not in str(Snapshots(Settings(hashing_share=1.0)).of({"inside": [value]}))


@pytest.mark.parametrize("name", ["tokens", "max_tokens", "tokenizer", "token_ids", "compass", "key", "author"])
def test_harmless_names(name: str) -> None:
    """Names that only look alike hide nothing."""
    assert SNAPSHOTS.of_role(name, "visible") == "visible"


def test_secret_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords in addresses, and secrets that the environment holds, are hidden wherever they are passed."""
    monkeypatch.setenv("MY_API_KEY", "0123456789abcdef")
    monkeypatch.setenv("PWD", "/home/me/folder")
    snapshots = Snapshots(Settings())

    assert snapshots.of("postgres://me:hunter2@db:5432/x?y=1") == f"postgres://me:{REDACTED}@db:5432/x?y=1"
    assert snapshots.of(["0123456789abcdef"]) == [REDACTED]
    assert "hunter2" not in str(snapshots.of("https://u:hunter2@h/ " + "x" * 9000))
    assert snapshots.of(b"ftp://u:hunter2@h/\xff") == b"ftp://u:" + REDACTED.encode() + b"@h/\xff"
    assert "hunter2" not in str(snapshots.of(b"ftp://u:hunter2@h/" + bytes(9000)))
    assert "hunter2" not in str(snapshots.of(ValueError("cannot reach ftp://u:hunter2@h/")))
    assert snapshots.of("Bearer 0123456789abcdef") == f"Bearer {REDACTED}"
    assert snapshots.of(["a", "Bearer 0123456789abcdef"]) == ["a", f"Bearer {REDACTED}"]
    assert snapshots.of({"Bearer 0123456789abcdef": 1}) == {f"Bearer {REDACTED}": 1}
    assert snapshots.of("mailto:me@example.org") == "mailto:me@example.org"
    assert decode(snapshots.of(reference("http://h/?api_key=abc&x=1"))).uri == f"http://h/?api_key={REDACTED}&x=1"
    assert snapshots.of("/home/me/folder/file") == "/home/me/folder/file"


def test_limits_are_settings() -> None:
    """The limits are the user's."""
    small = Snapshots(Settings(max_items=2, max_text=3, max_depth=1, redact="loss"))

    assert small.of([1, 2]) == [1, 2]
    assert decode(small.of([1, 2, 3])).type == "list"
    assert decode(small.of("long")).type == "str"
    assert decode(small.of([[]])) == [Reference("list", preview="…")]
    assert small.of_role("loss", 1) == REDACTED
    assert small.of_role("password", 1) == 1


@given(VALUES)
def test_every_kind_of_limit_is_kept(value: Any) -> None:
    """Whatever the limits, a snapshot is small, packs, and decodes."""
    tight = Snapshots(Settings(max_items=2, max_text=5, max_depth=2, max_value=50))

    packed = ormsgpack.packb(tight.of(value))

    assert len(packed) < 3000
    decode(ormsgpack.unpackb(packed))
