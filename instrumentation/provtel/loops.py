"""`loop`: a record for the loop and one for each iteration that began."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, Generic, Self, SupportsIndex, TypeVar

from opentelemetry.context import Context, create_key
from opentelemetry.trace import StatusCode

from provtel import leaving, notices
from provtel.activity import InertActivity
from provtel.block import Block
from provtel.definition import ITERATION, LOOP
from provtel.otel_context import attach, current, with_entries

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

    from provtel.activity import Activity

_T = TypeVar("_T")
_INDEX: Final = "index"
_ITEMS: Final = "items"
_GOING_KEY: Final = create_key("provtel-loop")
"""The key under which the context has the innermost time over a loop."""
_NOWHERE: Final = Context()
_NOT_RUNNING: Final = InertActivity()


class Loop(Generic[_T]):
    """Items to go over; each ``for`` over it is a loop of its own.

    Args:
        items: What to go over.
        name: Name of the loop and role of the item.
    """

    def __init__(self, items: Iterable[_T] | AsyncIterable[_T], name: str) -> None:
        """Keep the items; nothing starts."""
        self.items: Any = items
        self.name = name

    def __len__(self) -> int:
        """Return how many items there are, where they can be counted."""
        return len(self.items)  # raises what `len` of the items raises

    def __iter__(self) -> Iterator[_T]:
        """Go over the items; the body of the ``for`` runs inside the iteration's activity."""
        return _Pass(iter(self.items), _Going(self))

    def __aiter__(self) -> AsyncIterator[_T]:
        """Go over asynchronous items in the same way."""
        return _AsyncPass(aiter(self.items), _Going(self))

    def generated(self, /, **roles: object) -> None:
        """Record outputs of the iteration in whose body this is called, also from inside of a task there."""
        going = _innermost(current())
        while going is not None and going.loop is not self:
            going = _innermost(going.outside)
        if going is not None:
            going.iteration.generated(**roles)


class _Going:
    """What is running of one time over the items; the context knows it, and so it does not know the iterator.

    Args:
        loop: The items and their name.
    """

    def __init__(self, loop: Loop[Any]) -> None:
        """Begin nothing yet."""
        self.loop = loop
        self.iteration: Activity = _NOT_RUNNING
        self.outside = _NOWHERE
        """What was current before the loop."""
        self.over = False
        self._whole: Activity | None = None
        self._inside = _NOWHERE
        self._count = 0

    def pause(self) -> Context:
        """Be in the loop and in no iteration; return what was current."""
        here = current()
        if self._whole is None:
            self._begin(here)
        if not self.over:
            self.iteration.end()
            attach(self._inside)
        return here

    def _begin(self, here: Context) -> None:
        self.outside = here
        # An iterator is not looked at, because that would use it up.
        self._whole = Block(LOOP, self.loop.name, used={_ITEMS: self.loop.items}).start()
        self._inside = with_entries(current(), {_GOING_KEY: self})
        self.over = not self._whole.is_recording()

    def go_on(self, item: object) -> None:
        """Begin an iteration; the loop is what is current."""
        if not self.over:
            self.iteration = Block(ITERATION, self.loop.name, used={self.loop.name: item, _INDEX: self._count}).start()
            self._count += 1

    def finish(self, here: Context, error: BaseException | None = None) -> None:
        """End the loop, whose last iteration has ended.

        Args:
            here: What was current then; another loop may go on beside this one, as in `zip`.
            error: What the items raised.
        """
        if self.over or self._whole is None:
            return
        self.over = True
        self._whole.__exit__(type(error), error, None)
        # Whoever keeps an activity keeps its context, and with that this; the items are to go when the user is done.
        self.loop, self.iteration = _NO_LOOP, _NOT_RUNNING
        ending = _innermost(here)
        while ending is not None and ending.over:
            here = ending.outside
            ending = _innermost(here)
        attach(here)

    def leave(self, failure: str | None) -> None:
        """End where the loop is left early.

        Args:
            failure: Why it is an error, where it is.
        """
        if self._whole is None or self.over:
            return
        if failure is not None:
            self.iteration.set_status(StatusCode.ERROR, failure)
            self._whole.set_status(StatusCode.ERROR, failure)
        self.finish(self.pause())


class _Iterator:
    """What a ``for`` holds, which alone tells when the loop is left early.

    Args:
        items: The iterator of the items.
        going: What is running.
    """

    def __init__(self, items: Any, going: _Going) -> None:
        """Nobody has asked for an item yet."""
        self._items = items
        self._going = going
        self._asker = leaving.NOBODY

    def __del__(self) -> None:
        """End what is running."""
        try:
            if not self._going.over:
                self._going.leave(leaving.by_exception(self._asker))
        except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
            notices.capture_failed("the end of a loop", error)


class _Pass(_Iterator, Generic[_T]):
    """The iterator of a loop."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _T:
        """Return the next item, in whose iteration runs what follows."""
        self._asker = leaving.Asker.of(sys._getframe(1))  # noqa: SLF001  # it is the frame of the `for`
        here = self._going.pause()
        try:
            item: _T = next(self._items)
        except StopIteration:
            self._going.finish(here)
            raise
        except BaseException as error:
            self._going.finish(here, error)
            raise
        self._going.go_on(item)
        return item


class _AsyncPass(_Iterator, Generic[_T]):
    """The asynchronous iterator of a loop."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _T:
        """Return the next item, in whose iteration runs what follows."""
        self._asker = leaving.Asker.of(sys._getframe(1))  # noqa: SLF001  # it is the frame that awaits
        here = self._going.pause()
        try:
            item: _T = await anext(self._items)
        except StopAsyncIteration:
            self._going.finish(here)
            raise
        except BaseException as error:
            self._going.finish(here, error)
            raise
        self._going.go_on(item)
        return item


def loop(items: Iterable[Any] | AsyncIterable[Any] | SupportsIndex, *, name: str = "item") -> Loop[Any]:
    """Record a loop and its iterations: give it what follows ``in`` of a ``for`` or an ``async for``.

    An iteration that began is recorded also when it is left by ``break``, ``continue``, ``return`` or an exception. It
    used the item, under the loop's name, and its ``index``; in the body it is what `current` returns, so
    ``current().generated(loss=0.1)`` says what it generated, as does `generated` of what this returns.

    Where an exception leaves the body, iteration and loop are errors that tell the line; which exception it was the
    activity around the loop says. What Python lets nobody see ends as finished: an exception that leaves a generator
    expression or (before Python 3.12) a comprehension, or that is thrown into a generator which goes over the loop.

    Args:
        items: Anything to go over; a number is as many integers from 0.
        name: Name of the loop and role of the item.
    """
    return Loop(range(items.__index__()) if _is_number(items) else items, name)  # type: ignore[union-attr, arg-type]


def _is_number(items: object) -> bool:
    # An array has `__index__` too.
    return hasattr(type(items), "__index__") and not hasattr(type(items), "__iter__")


def _innermost(context: Context) -> _Going | None:
    found = context.get(_GOING_KEY)
    return found if isinstance(found, _Going) else None


_NO_LOOP: Final[Loop[Any]] = Loop((), "")
