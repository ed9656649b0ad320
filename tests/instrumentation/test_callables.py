"""Whatever can be called can be a task, and stays what it was: methods, partials, lambdas, instances of any kind."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from provtel import task
from provtel_model.record import Record
from provtel_model.values import Reference

from tests.instrumentation.programs import facts

Recorded = Callable[[], list[Record]]


class Shape:
    """Has methods of every kind, with the decorators in either order."""

    sides = 4

    @task
    def area(self, width: int, height: int = 2) -> int:
        """Be a method."""
        return width * height

    @classmethod
    @task
    def inner_class_method(cls, x: int) -> int:
        """Be a class method whose function is decorated."""
        return cls.sides * x

    @task
    @classmethod
    def outer_class_method(cls, x: int) -> int:
        """Be a decorated class method."""
        return cls.sides * x

    @staticmethod
    @task
    def inner_static_method(x: int) -> int:
        """Be a static method whose function is decorated."""
        return x

    @task(outputs="y")
    @staticmethod
    def outer_static_method(x: int) -> int:
        """Be a decorated static method."""
        return x

    @property
    @task
    def corners(self) -> int:
        """Be a property."""
        return self.sides

    square = functools.partialmethod(area, 3, height=3)


class Triangle(Shape):
    """Inherits all of them."""

    sides = 3


@pytest.mark.parametrize("kind", [Shape, Triangle])
def test_methods_of_every_kind(recorded: Recorded, kind: type[Shape]) -> None:
    """They give what they gave, on the class and on an instance; the receiver is recorded as the name of its class."""
    shape = kind()
    given = [
        shape.area(2),
        kind.area(shape, 1, height=5),
        kind.inner_class_method(2),
        shape.outer_class_method(2),
        kind.inner_static_method(5),
        shape.outer_static_method(6),
        shape.corners,
        shape.square(),
    ]
    this = Reference(f"{__name__}.{kind.__name__}")

    assert given == [4, 5, 2 * kind.sides, 2 * kind.sides, 5, 6, kind.sides, 9]
    assert [facts(record) for record in recorded()] == [
        ("area", "finished", {"self": this, "width": 2, "height": 2}, {"result": 4}),
        ("area", "finished", {"self": this, "width": 1, "height": 5}, {"result": 5}),
        ("inner_class_method", "finished", {"cls": this, "x": 2}, {"result": 2 * kind.sides}),
        ("outer_class_method", "finished", {"cls": this, "x": 2}, {"result": 2 * kind.sides}),
        ("inner_static_method", "finished", {"x": 5}, {"result": 5}),
        ("outer_static_method", "finished", {"x": 6}, {"y": 6}),
        ("corners", "finished", {"self": this}, {"result": kind.sides}),
        ("area", "finished", {"self": this, "width": 3, "height": 3}, {"result": 9}),
    ]


def test_bound_methods(recorded: Recorded) -> None:
    """A method of one instance has no receiver among its inputs."""
    assert task("first")("abc".index)("b") == 1
    assert task([1, 2].count)(2) == 1
    assert task("area")(inspect.unwrap(Shape.area).__get__(Shape()))(3) == 6
    assert [record.used for record in recorded()][2] == {"width": 3, "height": 2}


def test_partials(recorded: Recorded) -> None:
    """What a partial fixes by name is an input like any other; it is named after what it calls."""

    def power(base: int, exponent: int = 2) -> int:
        return int(base**exponent)

    assert task(functools.partial(power, exponent=3))(2) == 8
    assert task(functools.partial(functools.partial(power, 2)))(exponent=5) == 32
    assert [facts(record) for record in recorded()] == [
        ("power", "finished", {"base": 2, "exponent": 3}, {"result": 8}),
        ("power", "finished", {"exponent": 5}, {"result": 32}),
    ]


def test_lambdas(recorded: Recorded) -> None:
    """A lambda can be a task, with a name of the user's or its own."""
    assert task(lambda x: x + 1)(1) == 2
    assert task("plus two")(lambda x, y=2: x + y)(1) == 3
    assert [facts(record)[:3] for record in recorded()] == [
        ("<lambda>", "finished", {"x": 1}),
        ("plus two", "finished", {"x": 1, "y": 2}),
    ]


class Counter:
    """Can be called."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.calls = 0

    def __call__(self, step: int = 1) -> int:
        """Count."""
        self.calls += step
        return self.calls


class Async:
    """Can be awaited when it is called."""

    async def __call__(self, x: int) -> int:
        """Wait."""
        await asyncio.sleep(0)
        return x


class Generating:
    """Yields when it is called."""

    def __call__(self, x: int) -> Iterator[int]:
        """Yield."""
        yield from range(x)


class AsyncGenerating:
    """Yields asynchronously when it is called."""

    async def __call__(self, x: int) -> AsyncIterator[int]:
        """Yield."""
        for number in range(x):
            yield number


def test_instances_that_can_be_called(recorded: Recorded) -> None:
    """An instance is a task of the kind that its `__call__` is, named after its class."""

    async def collect(items: AsyncIterator[int]) -> list[int]:
        return [item async for item in items]

    counter = Counter()
    assert (task(counter)(), task(counter)(step=2), counter.calls) == (1, 3, 3)
    decorated: Any = task(Async())
    assert inspect.iscoroutinefunction(decorated)
    assert asyncio.run(decorated(5)) == 5
    assert asyncio.run(task(functools.partial(Async(), x=6))()) == 6
    assert list(task(Generating())(2)) == [0, 1]
    assert asyncio.run(collect(task(AsyncGenerating())(2))) == [0, 1]
    assert [facts(record) for record in recorded()] == [
        ("Counter", "finished", {"step": 1}, {"result": 1}),
        ("Counter", "finished", {"step": 2}, {"result": 3}),
        ("Async", "finished", {"x": 5}, {"result": 5}),
        ("Async", "finished", {"x": 6}, {"result": 6}),
        ("Generating", "finished", {"x": 2}, {"yielded": [0, 1]}),
        ("AsyncGenerating", "finished", {"x": 2}, {"yielded": [0, 1]}),
    ]


@task
def top(x: int) -> int:
    """Be found by name."""
    return x


def test_decorated_functions_can_be_pickled(recorded: Recorded) -> None:
    """A decorated function of a module can be sent to another process like any other."""
    assert pickle.loads(pickle.dumps(top)) is top  # noqa: S301  # we wrote it
    assert recorded() == []
