"""Generators as activities: current only while their own code runs, recorded from the first step to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from ormsgpack import packb
from provtel_model.journal.layout import Status
from provtel_model.values import Reference

from provtel import notices
from provtel.outputs import RESULT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from provtel_model.anyvalue import AnyValue

    from provtel.activity import Activity

YIELDED: Final = "yielded"


class _Yielded:
    """What a generator yielded, as long as it is not too much."""

    def __init__(self, activity: Activity) -> None:
        self._activity = activity
        roles = activity.definition.outputs.roles
        self._role = YIELDED if roles == [RESULT] else roles[0]
        self._forms: list[AnyValue] | None = []
        self._count = 0
        self._left = activity.recorder.snapshots.max_value

    def add(self, value: object) -> None:
        """Take a snapshot of a value; never raises."""
        try:
            self._add(value)
        except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
            notices.capture_failed("what a generator yielded", error)

    def _add(self, value: object) -> None:
        self._count += 1
        if self._forms is None:
            return
        form = self._activity.form_of(self._role, value)
        self._left -= len(packb(form))
        self._forms.append(form)
        if self._left < 0 or self._count > self._activity.recorder.snapshots.max_items:
            self._forms = None

    def outputs(self, result: object) -> dict[str, AnyValue]:
        """Return what is recorded at the end."""
        yielded: AnyValue = self._forms
        if yielded is None:
            yielded = Reference("generator", shape=(self._count,)).to_value()
        found: dict[str, AnyValue] = {self._role: yielded} if self._count else {}
        return found if result is None else {**found, RESULT: self._activity.form_of(RESULT, result)}


class Steps:
    """Runs a generator step by step inside an activity; to be delegated to by ``yield from``.

    Args:
        generator: The generator that the user wrote.
        activity: Started, and not entered.
    """

    def __init__(self, generator: Generator[Any, Any, Any], activity: Activity) -> None:
        """Begin before the first step."""
        self._generator = generator
        self._activity = activity
        self._yielded = _Yielded(activity)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._step(self._generator.__next__)

    def send(self, value: Any) -> Any:
        """Step on with a value."""
        return self._step(self._generator.send, value)

    def throw(self, *error: Any) -> Any:
        """Step on with an exception."""
        return self._step(self._generator.throw, *error)

    def close(self) -> None:
        """End it early, as ``break`` in the loop over it does; that is no failure."""
        self._activity.enter()
        try:
            self._generator.close()
        except BaseException as error:
            self._activity.leave()
            self._activity.fail(error)
            raise
        self._activity.leave()
        self._finish(None)

    def _step(self, step: Callable[..., Any], *args: Any) -> Any:
        self._activity.enter()
        try:
            value = step(*args)
        except StopIteration as stop:
            self._activity.leave()
            self._finish(stop.value)
            raise
        except BaseException as error:
            self._activity.leave()
            self._activity.fail(error)
            raise
        self._activity.leave()
        self._yielded.add(value)
        return value

    def _finish(self, result: object) -> None:
        self._activity.finish(Status.FINISHED.value, self._yielded.outputs(result))


class AsyncSteps:
    """Runs an asynchronous generator step by step inside an activity; has a generator's own methods.

    Args:
        generator: The generator that the user wrote.
        activity: Started, and not entered.
    """

    def __init__(self, generator: AsyncGenerator[Any, Any], activity: Activity) -> None:
        """Begin before the first step."""
        self._generator = generator
        self._activity = activity
        self._yielded = _Yielded(activity)

    async def asend(self, value: Any) -> Any:
        """Step on with a value."""
        return await self._step(self._generator.asend(value))

    async def athrow(self, error: BaseException) -> Any:
        """Step on with an exception."""
        return await self._step(self._generator.athrow(error))

    async def aclose(self) -> None:
        """End it early; that is no failure."""
        self._activity.enter()
        try:
            await self._generator.aclose()
        except BaseException as error:
            self._activity.leave()
            self._activity.fail(error)
            raise
        self._activity.leave()
        self._finish()

    async def _step(self, step: Awaitable[Any]) -> Any:
        self._activity.enter()
        try:
            value = await step
        except StopAsyncIteration:
            self._activity.leave()
            self._finish()
            raise
        except BaseException as error:
            self._activity.leave()
            self._activity.fail(error)
            raise
        self._activity.leave()
        self._yielded.add(value)
        return value

    def _finish(self) -> None:
        self._activity.finish(Status.FINISHED.value, self._yielded.outputs(None))
