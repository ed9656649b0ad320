"""The names of provtel that record nothing: what a program does with them is what it does without provtel."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self


class Nothing:
    """Is told things, and a ``with`` block, and a decorator, that does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let the exception go on."""

    def __call__(self, function: Any) -> Any:
        """Return a function as it is."""
        return function

    def generated(self, **_: object) -> None:
        """Forget it."""

    used = generated

    def tag(self, *_: str) -> None:
        """Forget it."""

    def set_attribute(self, key: str, value: object) -> None:
        """Forget it."""

    def output(self, _role: str) -> None:
        """Return nothing."""


def task(target: Any = None, **_: object) -> Any:
    """Return a function as it is, or a block that does nothing."""
    return target if callable(target) else Nothing()


workflow = task


def current() -> Nothing:
    """Return what may be told things."""
    return Nothing()


class Steps:
    """Items, or as many numbers."""

    def __init__(self, items: Any) -> None:
        """Keep them."""
        self._items: Iterable[Any] = range(items) if isinstance(items, int) else items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def generated(self, **_: object) -> None:
        """Forget it."""


def loop(items: Any, *, name: str = "item") -> Steps:  # noqa: ARG001  # the same words as the real one
    """Return the items."""
    return Steps(items)


def carry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function as it is."""
    return function


@contextlib.contextmanager
def campaign(_name: str) -> Iterator[None]:
    """Do nothing."""
    yield


def agent(*_: object, **__: object) -> Any:
    """Do nothing."""
    return Nothing()


def reference(uri: str, **_: object) -> str:
    """Return what is referred to."""
    return uri
