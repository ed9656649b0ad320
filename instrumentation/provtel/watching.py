"""Who else is told of activities: a tracer provider that is not ours, or span processors that were given to ours.

Nobody as a rule, and then nothing is asked at a call but which provider is installed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from opentelemetry import trace

from provtel import forking, notices
from provtel.accelerator import accelerator

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext

    from provtel.activity import Activity

_API: Final = vars(trace)
_INSTALLED: Final = "_TRACER_PROVIDER"
_NEVER_ASKED: Final = object()


class Watched(Protocol):
    """What a watcher knows of one activity."""

    @property
    def context(self) -> SpanContext | None:
        """What children and links are told of it; ``None`` where that is ours to say."""

    def started(self, activity: Activity, outer: Context) -> None:
        """Be told that its start is written."""

    def ended(self, activity: Activity, payload: bytes) -> None:
        """Be told that its end is written, and what it is."""


class Beginning(NamedTuple):
    """How an activity that is watched begins.

    Args:
        watched: Is told how it goes on.
        place: Trace id, span id, and that of the span around it; ``None`` where those are ours to choose.
    """

    watched: Watched
    place: tuple[bytes, int, int | None] | None


Watcher = "Callable[[str, int], Beginning | None]"
"""Given name and start of an activity that is about to begin in the current context, says how it begins."""

_asked_of: object = _NEVER_ASKED
_watcher: Callable[[str, int], Beginning | None] | None = None


def watcher() -> Callable[[str, int], Beginning | None] | None:
    """Return who is told of activities that begin; ``None`` where there is nobody."""
    provider = _API.get(_INSTALLED)
    return _watcher if provider is _asked_of else _ask(provider)


def begins(name: str, started_at: int) -> Beginning | None:
    """Tell who watches that an activity begins; never raises."""
    tell = watcher()
    if tell is None:
        return None
    try:
        return tell(name, started_at)
    except Exception as error:  # noqa: BLE001  # another's code
        notices.capture_failed("a task, by the tracer provider of the program,", error)
        return None


def ask_again() -> None:
    """Find out anew who watches, when the next activity begins."""
    global _asked_of  # noqa: PLW0603  # there is one provider a process
    _asked_of = _NEVER_ASKED
    if accelerator is not None:
        accelerator.configure(unwatched=_NEVER_ASKED)


def _ask(provider: Any) -> Callable[[str, int], Beginning | None] | None:
    global _asked_of, _watcher  # as above
    found = None
    if provider is not None and not _is_ours_alone(provider):
        with forking.guard:
            from provtel.otel.beside import watcher_of

            found = watcher_of(provider)
    _watcher, _asked_of = found, provider
    if accelerator is not None:
        # Compiled code asks only whether the provider is still the one that nobody watches by.
        accelerator.configure(unwatched=_NEVER_ASKED if found is not None else provider)
    return found


def _is_ours_alone(provider: Any) -> bool:
    """Say whether a provider is ours, and nobody is told of its spans: then what it takes to tell is not loaded."""
    ours = sys.modules.get("provtel.otel.provider")
    return ours is not None and isinstance(provider, ours.TracerProvider) and provider.processors is None


if accelerator is not None:
    accelerator.configure(api=_API, installed=_INSTALLED, unwatched=_NEVER_ASKED)
