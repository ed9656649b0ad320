"""The handle of a running activity: its start and its end go to the journal when they happen."""

from __future__ import annotations

from threading import get_ident
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, Final, Self

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext
from ormsgpack import packb
from provtel_model.journal.layout import Kind, Status, pack

from provtel import notices, watching
from provtel.accelerator import accelerator
from provtel.core import ActivityCore, outside
from provtel.errors import describe, status_of
from provtel.ids import GENERATOR
from provtel.inputs import Inputs, Output, type_only, writable
from provtel.known_so_far import Told
from provtel.otel_context import ACTIVITY_KEY, RUN_KEY, SPAN_KEY, VARIABLE, current, detach
from provtel.otel_span import RecordedSpan
from provtel.run import NO_RUN
from provtel.telemetry import NO_METER, THREAD_METER, figures_elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainError, PlainLink

    from provtel.definition import Definition
    from provtel.recorder import Recorder
    from provtel.watching import Watched

_END: Final = Kind.END.value
_FINISHED: Final = Status.FINISHED.value
_ERROR: Final = Status.ERROR.value
_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1


class Activity(ActivityCore, RecordedSpan):
    """A running task, workflow, loop or iteration.

    It is current from `enter` to `leave`: what starts in between is its child, be it ours or another library's. No
    method raises, and after the end none does anything.

    Args:
        recorder: Takes its start and its end.
        definition: What it has in common with others.
        used: Its inputs, in the order of the definition's roles or by role.
        facts: What else is known at the start, by fields of the plain record.
        started_at: When it started, where that is past; in nanoseconds since the epoch.
    """

    _watched: Watched | None = None
    _told: Told | None = None

    def __init__(
        self,
        recorder: Recorder,
        definition: Definition,
        used: list[AnyValue] | dict[str, AnyValue],
        facts: dict[str, Any] | None = None,
        started_at: int = 0,
    ) -> None:
        """Write the start."""
        if watching.watcher() is None:
            self.begin(recorder, definition, used, facts, started_at, None)
        else:
            self._begin_watched((recorder, definition, used, facts), started_at or time_ns())

    def _begin_watched(self, what: tuple[Any, ...], started_at: int) -> None:
        outer = current()
        beginning = watching.begins(what[1].name, started_at)
        recorder, definition, used, facts = what
        self.begin(recorder, definition, used, facts, started_at, None if beginning is None else beginning.place)
        if beginning is not None:
            self.is_watched, self._watched = True, beginning.watched
            with self.unharmed("a task, by the tracer provider of the program,"):
                beginning.watched.started(self, outer)

    def get_span_context(self) -> SpanContext:
        """Return what children and links need."""
        said = None if self._watched is None else self._watched.context
        return super().get_span_context() if said is None else said

    @property
    def id(self) -> str:
        """The id of its record."""
        # The record's module takes 5 ms to import, which `import provtel` is spared; the recorder has imported it.
        from provtel_model.record import record_id

        return record_id(self.trace.hex(), f"{self.span_id:016x}")

    def raised(self, error: BaseException) -> None:
        """Leave it for good, and write the end of a call that an exception left."""
        self.leave()
        self.context = None  # it holds the activity
        self.fail(error)

    def succeed(self, result: object) -> None:
        """Write the end of a call that returned; call it after `leave`."""
        kind = type(result)
        if self.definition.takes_plain and (
            kind is float or (kind is int and _INT64_MIN <= result <= _INT64_MAX)  # type: ignore[operator]  # an int
        ):
            self.finish(_FINISHED, [result])
            return
        outputs: list[Any] | dict[str, Any] | None = None
        try:
            outputs = self._take(self.definition.outputs.split(result))
        except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
            notices.capture_failed("what a task returned", error)
        self.finish(_FINISHED, outputs)

    def fail(self, error: BaseException) -> None:
        """Write the end of what an exception left; call it after `leave`."""
        status = status_of(error)
        if status is Status.FINISHED:
            self.record_exception(error)
        else:
            self.facts["error"] = describe(error, self.recorder.snapshots.redaction)
        self.finish(status.value, None)

    def finish(self, status: int, outputs: list[Any] | dict[str, Any] | None) -> None:
        """Write the end; call it after `leave`.

        Args:
            status: A `Status`, by its number.
            outputs: Forms of what it generated, in the order of the definition's roles or by role.
        """
        if self.ended:
            return
        self.ended = True
        if self.failure is not None and status == _FINISHED:
            status = _ERROR
            self.facts["error"] = self.failure
        if self._generated:
            if isinstance(outputs, list):
                outputs = dict(zip(self.definition.outputs.roles, outputs, strict=False))
            outputs = {**self._generated, **(outputs or {})}
        cpu = (self._user, self._system) if self._cpu_known and self.definition.telemetry else (None, None)
        end: list[Any] = [_END, self.span_id, self._ended_at, status, outputs, *cpu]
        whole = [*end, self.facts] if self.facts else end
        try:
            payload = packb(whole)
        except (TypeError, ValueError):
            payload = self._pack_what_can_be(whole)
        self.recorder.end(self, payload)
        if self._watched is not None:
            with self.unharmed("a task, by the tracer provider of the program,"):
                self._watched.ended(self, payload)

    def _pack_what_can_be(self, end: list[Any]) -> bytes:
        try:
            return pack(end)
        except (TypeError, ValueError) as error:
            notices.capture_failed("what a task generated", error)
            return packb([*end[:4], None, *end[5:7]])

    def finish_past(
        self, ended_at: int, status: Status, outputs: Mapping[str, object], error: PlainError | None
    ) -> None:
        """Write the end of what ended earlier, whose cost nobody knows."""
        self._ended_at = max(ended_at, self.started_at)
        self._cpu_known, self.is_past = False, True
        if error is not None:
            self.facts["error"] = error
        self._generated = self._forms_of(outputs.items())
        self.finish(status.value, None)

    def leave_unentered(self) -> None:
        """Let it end now where it was never entered: it ran elsewhere, and what it cost nobody knows."""
        self._ended_at = self.started_at + perf_counter_ns() - self._clock
        self._cpu_known = False
        self.context = None  # it holds the activity

    def end(self, end_time: int | None = None) -> None:  # noqa: ARG002  # the interface's; the clock is ours
        """End it well, now."""
        if not self.ended:
            self._leave_for_good()
            self.finish(_FINISHED, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """End it as the block ended; the exception goes on."""
        if error is None:
            self.end()
        elif not self.ended:
            self._leave_for_good()
            self.fail(error)

    def generated(self, /, **roles: object) -> None:
        """Record outputs by role, as they are now; of a role that is given twice the last counts."""
        if not self.ended:
            with self.unharmed("what a task generated"):
                self._generated.update(self._forms_of(roles.items()))
                self._tell()

    def used(self, /, **roles: object) -> None:
        """Record further inputs by role, as they are now."""
        if not self.ended:
            with self.unharmed("what a task used"):
                inputs = Inputs(self.recorder, contents=self.definition.captures_values)
                self.facts.setdefault("used", {}).update(inputs.by_role(roles.items()))
                self.add_entries("links", inputs.links)
                self._tell()

    def tag(self, *tags: str) -> None:
        """Add words to find it by."""
        if not self.ended:
            self.add_entries("tags", [self.recorder.snapshots.text(str(tag)) for tag in tags])

    def output(self, role: str) -> Output:
        """Return what it generated in a role, to be given in ``used=`` of another activity."""
        return Output(self.trace.hex(), f"{self.span_id:016x}", role, self._generated.get(role))

    def _tell(self) -> None:
        if self._told is None:
            self._told = Told()
        self._told.tell(self, self._generated)

    def _leave_for_good(self) -> None:
        if self._thread == get_ident():
            self.leave()
            self.context = None  # it holds the activity
            return
        # CPU time is counted by thread: that of the one it began in cannot be asked from here.
        self._ended_at = self.started_at + perf_counter_ns() - self._clock
        self._cpu_known = False
        figures = figures_elsewhere(self._meter, self._before)
        if figures:
            self.facts["telemetry"] = {**self.facts.get("telemetry", {}), **figures}
        detach(self._token)

    def _take(self, outputs: list[Any] | dict[str, Any]) -> list[Any] | dict[str, Any]:
        if isinstance(outputs, dict):
            return self._forms_of(outputs.items())
        return [self.form_of(*item) for item in zip(self.definition.outputs.roles, outputs, strict=False)]

    def _forms_of(self, items: Iterable[tuple[str, object]]) -> dict[str, AnyValue]:
        return {writable(role): self.form_of(role, value) for role, value in items}

    def form_of(self, role: str, value: object) -> AnyValue:
        """Return the snapshot of an output, and remember that the instances in it come from here."""
        objects: list[object] = []
        if self.definition.captures_values:
            form = self.recorder.snapshots.of_role(role, value, objects)
        else:
            form = type_only(value, objects)
        for instance in objects:
            self.recorder.origins.put(instance, self._as_link(), role)
        return form

    def _as_link(self) -> PlainLink:
        return {"trace_id": self.trace.hex(), "span_id": f"{self.span_id:016x}"}


class InertActivity(Activity):
    """Stands in for an activity that is not recorded: every method works and does nothing."""

    def __init__(self) -> None:
        """Be ended from the start."""
        self.trace, self.span_id = bytes(16), 0
        self.ended = True
        self._generated = {}

    def get_span_context(self) -> SpanContext:
        """Return the context of no span."""
        return INVALID_SPAN_CONTEXT


def running() -> Activity:
    """Return the activity that is running here, to say more of it; outside of any, one that ignores what it is told.

    Where a span of another library is current it is the activity around that span.
    """
    found = current().get(ACTIVITY_KEY)
    return found if isinstance(found, Activity) else InertActivity()


if accelerator is not None:
    accelerator.configure(
        variable=VARIABLE,
        context_type=Context,
        span_key=SPAN_KEY,
        activity_key=ACTIVITY_KEY,
        run_key=RUN_KEY,
        no_run=NO_RUN,
        outside=outside,
        packb=packb,
        getrandbits=GENERATOR.getrandbits,
        thread_meter=THREAD_METER,
        no_meter=NO_METER,
        activity_type=Activity,
    )
