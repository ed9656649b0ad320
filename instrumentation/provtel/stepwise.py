"""Generators as activities: current only while their own code runs, recorded from the first step to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ormsgpack import packb
from provtel_model.journal.layout import Status
from provtel_model.values import Reference

from provtel import notices
from provtel.outputs import RESULT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

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

    def finish(self, result: object = None) -> None:
        """Write the end, with what was yielded and returned; never raises."""
        try:
            outputs = self._outputs(result)
        except Exception as error:  # noqa: BLE001  # as above
            notices.capture_failed("what a generator returned", error)
            outputs = None
        self._activity.finish(Status.FINISHED.value, outputs)

    def _outputs(self, result: object) -> dict[str, AnyValue]:
        yielded: AnyValue = self._forms
        if yielded is None:
            yielded = Reference("generator", shape=(self._count,)).to_value()
        found: dict[str, AnyValue] = {self._role: yielded} if self._count else {}
        return found if result is None else {**found, RESULT: self._activity.form_of(RESULT, result)}


class Steps:
    """Runs a generator step by step inside an activity.

    Args:
        generator: The generator that the user wrote.
        activity: Started, and not entered.
    """

    def __init__(self, generator: Generator[Any, Any, Any], activity: Activity) -> None:
        """Begin before the first step."""
        self._generator = generator
        self._activity = activity
        self._yielded = _Yielded(activity)

    def step(self, sent: Any, thrown: BaseException | None) -> Any:
        """Step on with a value or an exception; return and raise what the generator does.

        That it is closed early, as by ``break`` in the loop over it, is no failure.
        """
        self._activity.enter()
        try:
            value = self._generator.send(sent) if thrown is None else self._generator.throw(thrown)
        except StopIteration as stop:
            self._activity.leave()
            self._yielded.finish(stop.value)
            raise
        except GeneratorExit:
            self._activity.leave()
            self._yielded.finish()
            raise
        except BaseException as error:
            self._activity.leave()
            self._activity.fail(error)
            raise
        self._activity.leave()
        self._yielded.add(value)
        return value


class AsyncSteps:
    """Runs an asynchronous generator step by step inside an activity.

    Args:
        generator: The generator that the user wrote.
        activity: Started, and not entered; ``None`` where nothing is recorded.
    """

    def __init__(self, generator: AsyncGenerator[Any, Any], activity: Activity | None) -> None:
        """Begin before the first step."""
        self._generator = generator
        self._activity = activity
        self._yielded = _Yielded(activity) if activity is not None else None

    async def step(self, sent: Any, thrown: BaseException | None) -> Any:
        """Step on with a value or an exception; return and raise what the generator does.

        That it is closed early is no failure.
        """
        step = self._generator.asend(sent) if thrown is None else self._generator.athrow(thrown)
        activity, yielded = self._activity, self._yielded
        if activity is None or yielded is None:
            return await step
        activity.enter()
        try:
            value = await step
        except (StopAsyncIteration, GeneratorExit):
            activity.leave()
            yielded.finish()
            raise
        except BaseException as error:
            activity.leave()
            activity.fail(error)
            raise
        activity.leave()
        yielded.add(value)
        return value
