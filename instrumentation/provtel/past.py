"""`record`: activities that are over, told by whoever knows of them: a log, a scheduler, another tool."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Any, Final, Literal

from provtel_model.journal.layout import Status

from provtel import notices
from provtel.activity import Activity, InertActivity
from provtel.block import definition_of
from provtel.definition import TASK
from provtel.errors import LONGEST_MESSAGE, describe, text_of
from provtel.inputs import Inputs
from provtel.otel_context import ACTIVITY_KEY, RUN_KEY, SPAN_KEY, attach, current, detach, with_entries
from provtel.recording import recorder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provtel_model.record import PlainError

    from provtel.recorder import Recorder
    from provtel.redaction import Redaction

    Time = dt.datetime | int

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


def record(  # noqa: PLR0913  # each is a word that adapters may leave out
    name: str,
    *,
    started_at: Time,
    ended_at: Time,
    kind: str = TASK,
    status: Literal["finished", "error", "cancelled"] | None = None,
    used: Mapping[str, object] | None = None,
    generated: Mapping[str, object] | None = None,
    error: BaseException | str | None = None,
    tags: Iterable[str] = (),
    attributes: Mapping[str, object] | None = None,
    subtype: str | None = None,
    parent: Activity | None = None,
) -> Activity:
    """Record an activity that is over.

    It belongs to what is running here, or to its parent. What cannot be recorded is said on stderr; nothing is raised.

    Args:
        name: Its name.
        started_at: When it started: a time with its zone, or nanoseconds since the epoch.
        ended_at: When it ended; what ended before it started has no duration.
        kind: What it is: a ``task``, a ``workflow``, or a word of yours.
        status: How it ended; without it ``error`` where there is an error, else ``finished``.
        used: Its inputs by role.
        generated: Its outputs by role.
        error: Why it failed.
        tags: Words to find it by.
        attributes: What else is known of it.
        subtype: What kind of task it is, in a word of yours.
        parent: What this returned for the activity that it was a part of.

    Returns:
        The activity, whose ``id`` is its record's, and that can be the parent of others.
    """
    try:
        current = recorder()
        if current is None:
            return InertActivity()
        ended = Status[(status or ("error" if error is not None else "finished")).upper()]
        times = _nanoseconds(started_at), _nanoseconds(ended_at)
        # All that may be wrong is looked at before the start is written: a start without an end would be a lost task.
        facts, outputs = _facts(current, tags, attributes), dict(generated or {})
        why = _error(error, current.snapshots.redaction)
        with _inside(parent):
            activity = _start(current, (kind, name, subtype), times[0], used or {}, facts)
        activity.finish_past(times[1], ended, outputs, why)
    except Exception as problem:  # noqa: BLE001  # the program goes on whatever went wrong
        notices.say(f"record {kind}", f"the {kind} {name!r} could not be recorded: {problem}; the program goes on")
        return InertActivity()
    return activity


def _start(
    current: Recorder,
    what: tuple[str, str, str | None],
    started_at: int,
    used: Mapping[str, object],
    facts: dict[str, Any],
) -> Activity:
    kind, name, subtype = what
    inputs = Inputs(current)
    forms = inputs.by_role(used.items())
    if inputs.links:
        facts["links"] = inputs.links
    return Activity(current, definition_of(kind, name, subtype=subtype), forms, facts, started_at)


def _facts(current: Recorder, tags: Iterable[str], attributes: Mapping[str, object] | None) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if words := [current.snapshots.text(str(tag)) for tag in tags]:
        facts["tags"] = words
    if attributes:
        facts["attributes"] = {key: current.snapshots.of_role(key, value) for key, value in attributes.items()}
    return facts


def _error(error: BaseException | str | None, redaction: Redaction) -> PlainError | None:
    if error is None:
        return None
    if isinstance(error, BaseException):
        return describe(error, redaction)
    return {"message": text_of(error, redaction, LONGEST_MESSAGE)}


@contextlib.contextmanager
def _inside(parent: Activity | None) -> Iterator[None]:
    if parent is None or isinstance(parent, InertActivity):
        yield
        return
    here = {SPAN_KEY: parent, ACTIVITY_KEY: parent, RUN_KEY: parent.run}
    token = attach(with_entries(current(), here))
    try:
        yield
    finally:
        detach(token)


def _nanoseconds(time: Time) -> int:
    if isinstance(time, int):
        return time
    if time.tzinfo is None:
        msg = f"the time {time} has no zone; give it one, such as datetime.UTC"
        raise ValueError(msg)
    return (time - _EPOCH) // _MICROSECOND * 1000
