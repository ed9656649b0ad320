"""`loop`: a record for the loop and one for each iteration that began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, SupportsIndex, TypeVar

from provtel.block import Block
from provtel.definition import ITERATION, LOOP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_T = TypeVar("_T")
_INDEX = "index"
_ITEMS = "items"


class Loop(Generic[_T]):
    """Items to go over; each ``for`` over it is a loop of its own.

    Args:
        items: What to go over.
        name: Name of the loop and role of the item.
    """

    def __init__(self, items: Iterable[_T], name: str) -> None:
        """Keep the items; nothing starts."""
        self._items = items
        self._name = name

    def __len__(self) -> int:
        """Return how many items there are, where they can be counted."""
        return len(self._items)  # type: ignore[arg-type]  # raises what `len` of the items raises

    def __iter__(self) -> Iterator[_T]:
        """Go over the items; the body of the ``for`` runs inside the iteration's activity."""
        # An iterator is not looked at, because that would use it up.
        running = Block(LOOP, self._name, used={_ITEMS: self._items}).start()
        try:
            for index, item in enumerate(self._items):
                iteration = Block(ITERATION, self._name, used={self._name: item, _INDEX: index}).start()
                try:
                    yield item
                finally:
                    iteration.end()
        except GeneratorExit:
            # `break`, `return` and an exception in the body all close the generator; they cannot be told apart here.
            running.end()
            raise
        except BaseException as error:
            running.__exit__(type(error), error, error.__traceback__)
            raise
        running.end()


def loop(items: Iterable[_T] | SupportsIndex, *, name: str = "item") -> Iterable[Any]:
    """Record a loop and its iterations: give it what follows ``in`` of a ``for``.

    An iteration that began is recorded also when it is left by ``break``, ``continue``, ``return`` or an exception. It
    used the item, under the loop's name, and its ``index``; in the body it is what `current` returns, so
    ``current().generated(loss=0.1)`` says what it generated.

    Args:
        items: Anything to go over; a number is as many integers from 0.
        name: Name of the loop and role of the item.
    """
    return Loop(range(items.__index__()) if _is_number(items) else items, name)  # type: ignore[union-attr, arg-type]


def _is_number(items: object) -> bool:
    # An array has `__index__` too.
    return hasattr(type(items), "__index__") and not hasattr(type(items), "__iter__")
