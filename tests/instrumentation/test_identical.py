"""Whatever is decorated gives exactly what it gave bare: the same objects, the same exceptions, step by step."""

from __future__ import annotations

import functools
import gc
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from provtel import notices, task, workflow

from tests.instrumentation.hostile import Box, hostile_values
from tests.model.strategies import PYTHON_VALUES

pytestmark = [
    # What ends badly because it is dropped in the middle says so, bare and decorated.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.usefixtures("recorded", "tidy"),
]


@pytest.fixture
def tidy() -> Iterator[None]:
    """Let all that was dropped in the middle end within its own test."""
    yield
    gc.collect()


Decorator = Callable[[Any], Any]


class MineError(Exception):
    """An exception with arguments of any kind."""


class MineExitError(BaseException):
    """An exception that is none that programs catch."""


VALUES = (PYTHON_VALUES | st.floats() | st.builds(np.arange, st.integers(0, 20))).map(Box) | hostile_values()
ERRORS = st.one_of(
    st.builds(lambda box: Box(MineError(box.value)), VALUES),
    st.builds(lambda box: Box(StopIteration(box.value)), VALUES),
    st.one_of(
        st.builds(MineExitError),
        st.builds(SystemExit, st.none() | st.integers(0, 3) | st.text(max_size=5)),
        st.builds(KeyboardInterrupt),
        st.builds(GeneratorExit),
        st.builds(StopAsyncIteration),
        st.builds(RuntimeError, st.text(max_size=5)),
        st.builds(OSError, st.integers(1, 9), st.text(max_size=5)),
    ).map(Box),
)


@dataclass
class Script:
    """What a function does, and what is done to it.

    Args:
        steps: What it yields, or awaits, one after another.
        raises: How it ends: by an exception, or by returning.
        end: The exception or the result.
        stubborn: It goes on when an exception is thrown into it.
        actions: What is done to it, where it goes step by step.
    """

    steps: list[Box]
    raises: bool
    end: Box
    stubborn: bool
    actions: list[tuple[str, Box]]

    def finish(self) -> Any:
        """End as the script says."""
        if self.raises:
            raise self.end.value
        return self.end.value


ACTIONS = st.one_of(
    st.just(("send", Box(None))),
    st.just(("send", Box(None))),
    st.tuples(st.just("send"), VALUES),
    st.tuples(st.just("throw"), ERRORS),
    st.just(("close", Box(None))),
)
SCRIPTS = st.one_of(
    *(
        st.builds(
            Script,
            steps=st.lists(VALUES, max_size=4),
            raises=st.just(raises),
            end=ends,
            stubborn=st.booleans(),
            actions=st.lists(ACTIONS, max_size=7),
        )
        for raises, ends in ((False, VALUES), (True, ERRORS))
    )
)
OPTIONS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "outputs": st.sampled_from(["y", ("a", "b"), ["password"]]),
        "tags": st.just(("t",)),
        "telemetry": st.booleans(),
        "capture_values": st.booleans(),
        "agent": st.just("anna"),
        "attempt": st.integers(0, 9),
    },
)
DECORATORS = st.builds(lambda options: task(**options), OPTIONS) | st.builds(workflow)


class Outcome:
    """What came of an action, compared by identity where it is an object of the test's own."""

    def __init__(self, action: Callable[[], Any]) -> None:
        """Act."""
        self.value: object = None
        self.error: BaseException | None = None
        try:
            self.value = action()
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is what is compared
            self.error = error

    def same_as(self, other: Outcome, mine: list[Any]) -> bool:
        """Say whether another action came to the same."""
        return self.value is other.value and _same(self.error, other.error, mine)


def _same(one: BaseException | None, other: BaseException | None, mine: list[Any]) -> bool:
    if one is other:
        return True
    if one is None or other is None or any(one is error or other is error for error in mine):
        return False
    # Python made them: two objects, of which everything has to be the same.
    return (
        type(one) is type(other)
        and len(one.args) == len(other.args)
        and all(a is b or (isinstance(a, str) and a == b) for a, b in zip(one.args, other.args, strict=True))
        and _same(one.__cause__, other.__cause__, mine)
        and _same(one.__context__, other.__context__, mine)
    )


def _own(script: Script) -> list[BaseException]:
    found = [box.value for action, box in script.actions if action == "throw"]
    return [*found, script.end.value] if script.raises else found


def _thrown(error: BaseException, script: Script) -> object:
    # An `await` closes what it waits for with an exception of its own, whatever closes it.
    mine = any(error is own for own in _own(script)) and not isinstance(error, GeneratorExit)
    return error if mine else type(error)


def _forget_traces(script: Script) -> None:
    # The same exceptions are raised twice, and each time as if it were the first.
    for error in _own(script):
        error.__traceback__ = error.__context__ = error.__cause__ = None


Behaviour = Callable[..., Any]


def _function(behave: Behaviour, decorate: Decorator) -> Any:
    @decorate
    def function(x: Any, *rest: Any, key: Any = None, **more: Any) -> Any:
        return behave(x, *rest, key, *more.values())

    return function


def _lambda(behave: Behaviour, decorate: Decorator) -> Any:
    return decorate(lambda *args, **kwargs: behave(*args, *kwargs.values()))


def _partial(behave: Behaviour, decorate: Decorator) -> Any:
    return decorate(functools.partial(lambda first, *args, **more: behave(first, *args, *more.values()), 1, key=2))


def _method(behave: Behaviour, decorate: Decorator) -> Any:
    class Owner:
        @decorate
        def method(self, *args: Any, **more: Any) -> Any:
            return behave(*args, *more.values())

    return Owner().method


def _class_method(behave: Behaviour, decorate: Decorator) -> Any:
    class Owner:
        @classmethod
        @decorate
        def method(cls, *args: Any, **more: Any) -> Any:
            return behave(*args, *more.values())

    return Owner.method


def _outer_class_method(behave: Behaviour, decorate: Decorator) -> Any:
    class Owner:
        @decorate
        @classmethod
        def method(cls, *args: Any, **more: Any) -> Any:
            return behave(*args, *more.values())

    return Owner.method


def _static_method(behave: Behaviour, decorate: Decorator) -> Any:
    class Owner:
        @decorate
        @staticmethod
        def method(*args: Any, **more: Any) -> Any:
            return behave(*args, *more.values())

    return Owner.method


def _instance(behave: Behaviour, decorate: Decorator) -> Any:
    class Owner:
        def __call__(self, *args: Any, **more: Any) -> Any:
            return behave(*args, *more.values())

    return decorate(Owner())


def _bound(behave: Behaviour, decorate: Decorator) -> Any:
    class Owner:
        def method(self, *args: Any, **more: Any) -> Any:
            return behave(*args, *more.values())

    return decorate(Owner().method)


def _hostile_owner(behave: Behaviour, decorate: Decorator) -> Any:
    class Owner:
        @decorate
        def method(self, *args: Any, **more: Any) -> Any:
            return behave(*args, *more.values())

        def __repr__(self) -> str:
            raise BaseException("hostile code ran")  # noqa: TRY002  # nothing may catch it by chance

        __eq__ = __bool__ = __len__ = __repr__  # type: ignore[assignment]  # all of it fails
        __hash__ = None  # type: ignore[assignment]  # as of any class with __eq__ alone

    return Owner().method


KINDS = (
    *(_function, _lambda, _partial, _method, _class_method, _outer_class_method, _static_method, _instance, _bound),
    _hostile_owner,
)
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def _nothing_failed() -> None:
    """Check that the capture did not fail, which it would have survived."""
    assert {kind: count for kind, count in notices._counts.items() if kind.startswith("capture")} == {}


@pytest.mark.parametrize("kind", KINDS)
@FUZZ
@given(script=SCRIPTS, decorate=DECORATORS, boxes=st.lists(VALUES, min_size=2, max_size=4))
def test_functions(kind: Callable[..., Any], script: Script, decorate: Decorator, boxes: list[Box]) -> None:
    """A call passes the same arguments in, and the same result or exception out, of every kind of function."""
    named, *args = (box.value for box in boxes)
    seen: list[list[Any]] = []

    def behave(*given: Any) -> Any:
        seen.append([*given])
        return script.finish()

    bare = Outcome(lambda: kind(behave, lambda function: function)(*args, named=named))
    _forget_traces(script)
    decorated = Outcome(lambda: kind(behave, decorate)(*args, named=named))

    assert decorated.same_as(bare, _own(script))
    assert len(seen) == 2
    assert all(one is other for one, other in zip(*seen, strict=True))
    _nothing_failed()
    _forget_traces(script)


Driven = tuple[list[Outcome], list[Any]]
"""What came of each action, and what the function saw until then."""


def _drive(script: Script, running: Generator[Any, Any, Any], seen: list[Any]) -> Driven:
    """Do to a generator or coroutine what the script says."""
    outcomes = []
    for action, box in script.actions:
        if action == "send":
            outcomes.append(Outcome(functools.partial(running.send, box.value)))
        elif action == "throw":
            outcomes.append(Outcome(functools.partial(running.throw, box.value)))
        else:
            outcomes.append(Outcome(running.close))
    outcomes.append(Outcome(running.close))
    return outcomes, [*seen]


def _compare(script: Script, drive: Callable[[Any, list[Any]], Driven], decorate: Decorator) -> None:
    bare, seen_bare = drive(lambda function: function, [])
    _forget_traces(script)
    decorated, seen = drive(decorate, [])

    assert [one.same_as(other, _own(script)) for one, other in zip(decorated, bare, strict=True)] == [True] * len(bare)
    assert [one is other for one, other in zip(seen, seen_bare, strict=True)] == [True] * len(seen)
    _nothing_failed()
    _forget_traces(script)


@FUZZ
@given(script=SCRIPTS, decorate=DECORATORS, box=VALUES)
def test_generators(script: Script, decorate: Decorator, box: Box) -> None:
    """A generator yields, takes, raises and closes as it did bare, whatever is done to it."""

    def drive(decorate: Decorator, seen: list[Any]) -> Driven:
        @decorate
        def generator(x: Any) -> Generator[Any, Any, Any]:
            seen.append(x)
            for step in script.steps:
                try:
                    seen.append((yield step.value))
                except BaseException as error:
                    seen.append(_thrown(error, script))
                    if not script.stubborn:
                        raise
            return script.finish()

        assert inspect.isgeneratorfunction(generator)
        return _drive(script, generator(box.value), seen)

    _compare(script, drive, decorate)


class Pause:
    """Can be awaited: hands out a value, and gives what comes in for it."""

    def __init__(self, value: Any) -> None:
        """Keep the value."""
        self._value = value

    def __await__(self) -> Generator[Any, Any, Any]:
        got: Any = yield self._value
        return got


@FUZZ
@given(script=SCRIPTS, decorate=DECORATORS, box=VALUES)
def test_coroutines(script: Script, decorate: Decorator, box: Box) -> None:
    """A coroutine waits, goes on, is cancelled and closed as it was bare, whatever the event loop does to it."""

    def drive(decorate: Decorator, seen: list[Any]) -> Driven:
        @decorate
        async def coroutine(x: Any) -> Any:
            seen.append(x)
            for step in script.steps:
                try:
                    seen.append(await Pause(step.value))
                except BaseException as error:
                    seen.append(_thrown(error, script))
                    # One that goes on when it is closed is told so in the middle of it, and then is no more.
                    if not script.stubborn or isinstance(error, GeneratorExit):
                        raise
            return script.finish()

        assert inspect.iscoroutinefunction(coroutine)
        return _drive(script, coroutine(box.value), seen)

    _compare(script, drive, decorate)


@FUZZ
@given(script=SCRIPTS, decorate=DECORATORS, box=VALUES)
def test_async_generators(script: Script, decorate: Decorator, box: Box) -> None:
    """An asynchronous generator yields, waits, takes, raises and closes as it did bare."""

    def drive(decorate: Decorator, seen: list[Any]) -> Driven:
        @decorate
        async def generator(x: Any) -> AsyncIterator[Any]:
            seen.append(x)
            for number, step in enumerate(script.steps):
                try:
                    if number % 2:
                        seen.append(await Pause(None))
                    seen.append((yield step.value))
                except BaseException as error:
                    seen.append(_thrown(error, script))
                    if not script.stubborn:
                        raise
            if script.raises:
                raise script.end.value

        assert inspect.isasyncgenfunction(generator)
        return _drive_async(script, generator(box.value), seen)

    _compare(script, drive, decorate)


def _drive_async(script: Script, running: Any, seen: list[Any]) -> Driven:
    outcomes = []
    for action, box in [*script.actions, ("close", Box(None))]:
        if action == "send":
            step = running.asend(box.value)
        elif action == "throw":
            step = running.athrow(box.value)
        else:
            step = running.aclose()
        outcomes.append(Outcome(functools.partial(_wait_for, step)))
    return outcomes, [*seen]


def _wait_for(awaitable: Awaitable[Any]) -> Any:
    """Run to its end what waits for nothing but pauses."""
    going = awaitable.__await__()
    for _ in range(50):
        try:
            going.send(None)
        except StopIteration as stop:
            return stop.value
    raise AssertionError("it waits for ever")


def test_what_is_used_up_or_held_is_not_touched() -> None:
    """Iterators are not advanced, locks not taken, files not moved, and what is lazy stays so."""
    items, lock = iter([1, 2]), threading.Lock()

    @task
    def bare(*args: Any) -> tuple[Any, ...]:
        return args

    asked: list[str] = []

    class Lazy:
        @property
        def value(self) -> int:
            asked.append("value")
            return 1

        @functools.cached_property
        def cached(self) -> int:
            asked.append("cached")
            return 1

    with open(__file__) as file:  # noqa: PTH123  # an open file like any other
        lazy = Lazy()
        assert bare(items, lock, file, lazy, map(asked.append, "ab")) is not None
        assert file.tell() == 0
    assert next(items) == 1
    assert not lock.locked()
    assert asked == []
    assert vars(lazy) == {}
    _nothing_failed()
