"""Values that fail, hang, lie or change when anybody asks them anything."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st


def fail(*_: object, **__: object) -> Any:
    """Raise what nothing may catch by chance."""
    raise BaseException("hostile code ran")  # noqa: TRY002  # as said


class Silent:
    """Fails when an attribute is asked for."""

    __getattribute__ = fail


class Unprintable:
    """Fails when it is printed, compared, counted, gone over, copied or asked for its class."""

    def __init__(self) -> None:
        """Have a field."""
        self.field = self

    __repr__ = __str__ = __eq__ = __len__ = __iter__ = __bool__ = __getitem__ = __contains__ = fail
    __reduce__ = __reduce_ex__ = __copy__ = __deepcopy__ = __format__ = __sizeof__ = __dir__ = __index__ = fail
    __hash__ = None  # type: ignore[assignment]  # as of any class with __eq__ alone
    __class__ = property(fail)


class Meddling:
    """Has what libraries ask for, and all of it fails."""

    to_dict = tolist = item = dict = model_dump = __array__ = __dataframe__ = __arrow_c_stream__ = fail
    shape = dtype = nbytes = columns = name = property(fail)
    __array_interface__ = __cuda_array_interface__ = __dict__ = property(fail)


class NeedsMore:
    """Has conversions that want arguments."""

    def to_dict(self, orient: str) -> str:
        """Want to be told how."""
        return orient


class Classes(type):
    """A class of classes that fails whatever is asked of it."""

    __getattribute__ = __eq__ = __repr__ = __instancecheck__ = fail
    __hash__ = fail


class HostileList(list[Any]):
    """A list that fails when anybody goes over it."""

    __iter__ = __len__ = __getitem__ = __eq__ = __repr__ = fail


class HostileDict(dict[Any, Any]):
    """A map that fails when anybody goes over it."""

    __iter__ = __len__ = __getitem__ = items = keys = values = fail


class HostileText(str):
    """A text that fails when it is used."""

    __slots__ = ()
    __str__ = __len__ = __eq__ = encode = __iter__ = __hash__ = fail


class HostileNumber(int):
    """A number that fails when it is used."""

    __index__ = __int__ = __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = fail


class HostileFloat(float):
    """A number that fails when it is used."""

    __float__ = __eq__ = __lt__ = __hash__ = is_integer = fail


def _deep() -> list[Any]:
    whole: list[Any] = []
    for _ in range(5000):
        whole = [whole]
    return whole


def _circle() -> list[Any]:
    whole: list[Any] = [1]
    whole.append({"self": whole})
    return whole


def _generator() -> Any:
    yield fail()


class Box:
    """Holds a value, so that Hypothesis asks nothing of it."""

    def __init__(self, value: Any) -> None:
        """Keep it."""
        self.value = value

    def __repr__(self) -> str:
        return f"Box({type(self.value).__name__})"


KINDS: list[Callable[[], Any]] = [
    *(Silent, Unprintable, Meddling, NeedsMore, HostileText, HostileNumber, HostileFloat, _deep, _circle),
    lambda: type.__call__(Classes, "Made", (), {}),
    lambda: HostileList([1, 2]),
    lambda: HostileDict(a=1),
    lambda: types.SimpleNamespace(a=Unprintable()),
    lambda: itertools.repeat(1),
    lambda: map(fail, [1]),
    _generator,
    object,
    lambda: fail,
    lambda: types.MappingProxyType({"a": 1}),
    lambda: memoryview(b"abc"),
    lambda: "\ud800",
    lambda: 10**5000,
    lambda: "x" * 100_000,
    lambda: [[1.5] * 100] * 100,
]


def hostile_values() -> st.SearchStrategy[Box]:
    """Give a new one of each kind, alone and in containers."""
    shapes: list[Callable[[Any], Any]] = [
        lambda value: value,
        lambda value: [value],
        lambda value: {"key": value, "password": value},
    ]
    return st.builds(lambda make, shape: Box(shape(make())), st.sampled_from(KINDS), st.sampled_from(shapes))
