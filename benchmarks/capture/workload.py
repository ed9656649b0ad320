"""The functions that are captured; every call has other arguments, so that a record can be told from its neighbour."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Function = Callable[..., Any]
Call = tuple[Any, ...]

WARM_UP = 200
"""Calls before anything is measured; their records are compared like all others."""


def two(a: int, b: float) -> float:
    """Return a sum of two numbers."""
    return a + b


def pair(number: int) -> Call:
    """Return the arguments of a numbered call of `two`."""
    return number, number + 1 / 128


def _wide(count: int) -> Function:
    names = ", ".join(f"x{number}" for number in range(count))
    scope: dict[str, Any] = {"__name__": __name__}
    exec(f"def wide{count}({names}):\n    return x0 + x1\n", scope)  # noqa: S102  # a signature of `count` names
    return scope[f"wide{count}"]  # type: ignore[no-any-return]  # what exec has just defined


def first(array: Any, at: int) -> float:
    """Return one element of an array."""
    return float(array[at])


def result(function: Function, call: Call) -> Any:
    """Return what a call gives, without calling what is captured."""
    return first(*call) if function is first else call[0] + call[1]


@dataclass(frozen=True)
class Case:
    """One way of calling.

    Args:
        name: As the table shows it.
        functions: What is wrapped; a nested case calls the second inside the first.
        calls: Arguments of each call, given how many there are to be.
        drive: Runs the wrapped functions over the calls.
        size: How many calls a round makes at full scale.
    """

    name: str
    functions: tuple[Function, ...]
    calls: Callable[[int], list[Call]]
    drive: Callable[[list[Function], list[Call]], None]
    size: int

    def records(self, size: int) -> Iterator[tuple[Function, Call]]:
        """Yield the function and the arguments of every record that `size` calls make."""
        for call in self.calls(size):
            for function in self.functions:
                yield function, call


def _each(functions: list[Function], calls: list[Call]) -> None:
    function = functions[0]
    for call in calls:
        function(*call)


def _threads(functions: list[Function], calls: list[Call]) -> None:
    workers = [threading.Thread(target=_each, args=(functions, calls[number::8])) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _pairs(size: int) -> list[Call]:
    return [pair(number) for number in range(size)]


def _numbers(count: int) -> Callable[[int], list[Call]]:
    def calls(size: int) -> list[Call]:
        return [tuple(number + place / 128 if place else number for place in range(count)) for number in range(size)]

    return calls


def _arrays(size: int) -> list[Call]:
    import numpy as np  # only this case needs it

    arrays = [np.arange(131072, dtype=np.float64) + number for number in range(8)]
    return [(arrays[number % 8], number) for number in range(size)]


_inner: list[Function] = []


def outer(a: int, b: float) -> float:
    """Call the inner function."""
    return float(_inner[0](a, b))


def _nested(functions: list[Function], calls: list[Call]) -> None:
    _inner[:] = [functions[1]]
    _each(functions, calls)


TWO = "2 arguments"
THREADS = "8 threads"

CASES = {
    case.name: case
    for case in (
        Case(TWO, (two,), _pairs, _each, 25_000),
        Case("10 arguments", (_wide(10),), _numbers(10), _each, 8_000),
        Case("100 arguments", (_wide(100),), _numbers(100), _each, 1_000),
        Case("1 MB array", (first,), _arrays, _each, 500),
        Case("nested", (outer, two), _pairs, _nested, 8_000),
        Case(THREADS, (two,), _pairs, _threads, 24_000),
    )
}
