"""The functions that are captured; every call has other arguments, so that a record can be told from its neighbour."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Function = Callable[..., Any]
Call = tuple[Any, ...]


def two(a: int, b: float) -> float:
    """Return a sum of two numbers."""
    return a + b


def _wide(count: int) -> Function:
    names = ", ".join(f"x{number}" for number in range(count))
    scope: dict[str, Any] = {}
    exec(f"def wide{count}({names}):\n    return x0 + x1\n", scope)  # noqa: S102  # a signature of `count` names
    return scope[f"wide{count}"]  # type: ignore[no-any-return]  # what exec has just defined


def first(array: Any, at: int) -> float:
    """Return one element of an array."""
    return float(array[at])


@dataclass(frozen=True)
class Case:
    """One way of calling.

    Args:
        name: As the table shows it.
        functions: What is wrapped; a nested case calls the second inside the first.
        calls: Arguments of each call, given how many there are to be.
        drive: Runs the wrapped functions over the calls.
        tasks: Records that a call makes.
    """

    name: str
    functions: tuple[Function, ...]
    calls: Callable[[int], list[Call]]
    drive: Callable[[list[Function], list[Call]], None]
    tasks: int = 1


def _each(functions: list[Function], calls: list[Call]) -> None:
    function = functions[0]
    for call in calls:
        function(*call)


def _threads(functions: list[Function], calls: list[Call]) -> None:
    share = len(calls) // 8
    workers = [
        threading.Thread(target=_each, args=(functions, calls[number * share : (number + 1) * share]))
        for number in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


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


CASES = {
    case.name: case
    for case in (
        Case("2 arguments", (two,), _numbers(2), _each),
        Case("10 arguments", (_wide(10),), _numbers(10), _each),
        Case("100 arguments", (_wide(100),), _numbers(100), _each),
        Case("1 MB array", (first,), _arrays, _each),
        Case("nested", (outer, two), _numbers(2), _nested, tasks=2),
        Case("8 threads", (two,), _numbers(2), _threads),
    )
}


def expected(case: Case, size: int) -> Iterator[tuple[str, Call]]:
    """Yield the function and the scalar arguments of every record that a case of `size` calls makes."""
    for call in case.calls(size):
        for function in case.functions:
            yield function.__name__, tuple(value for value in call if isinstance(value, int | float))
