"""How much one span may say, by the variables that every OpenTelemetry SDK reads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from provtel import notices

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT_COUNT: Final = 128
_NEVER_LEFT_OUT: Final = ("prov.", "workflow.")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a span; ``None`` is none. What is beyond a count is left out, and counted as dropped.

    Args:
        attributes: How many attributes a span may have.
        events: How many events.
        links: How many links.
        event_attributes: How many attributes an event may have.
        link_attributes: How many a link.
        span_text: How many characters a text of a span's attribute may have.
        text: How many one of an event's or a link's.
    """

    attributes: int | None = _DEFAULT_COUNT
    events: int | None = _DEFAULT_COUNT
    links: int | None = _DEFAULT_COUNT
    event_attributes: int | None = _DEFAULT_COUNT
    link_attributes: int | None = _DEFAULT_COUNT
    span_text: int | None = None
    text: int | None = None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Limits:
        """Return what the variables ``OTEL_SPAN_*`` and ``OTEL_ATTRIBUTE_*`` say; an empty one lifts its limit."""
        general = _limit(environment, "OTEL_ATTRIBUTE_COUNT_LIMIT", _DEFAULT_COUNT)
        text = _limit(environment, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", None)
        return cls(
            attributes=_limit(environment, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", general),
            events=_limit(environment, "OTEL_SPAN_EVENT_COUNT_LIMIT", _DEFAULT_COUNT),
            links=_limit(environment, "OTEL_SPAN_LINK_COUNT_LIMIT", _DEFAULT_COUNT),
            event_attributes=_limit(environment, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", general),
            link_attributes=_limit(environment, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", general),
            span_text=_limit(environment, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", text),
            text=text,
        )

    @classmethod
    def of_sdk(cls, limits: Any) -> Limits:
        """Return what the SDK's ``SpanLimits`` say."""
        return cls(
            attributes=limits.max_span_attributes,
            events=limits.max_events,
            links=limits.max_links,
            event_attributes=limits.max_event_attributes,
            link_attributes=limits.max_link_attributes,
            span_text=limits.max_span_attribute_length,
            text=limits.max_attribute_length,
        )


def _limit(environment: Mapping[str, str], variable: str, default: int | None) -> int | None:
    said = environment.get(variable)
    if said is None:
        return default
    if said.strip().lower() in {"", "none"}:
        return None
    if said.strip().isdecimal():
        return int(said)
    notices.say(
        f"limit {variable}",
        f"the variable {variable} is ignored: {said!r} (write a whole number); the default holds: {default}",
    )
    return default


def is_never_left_out(name: str) -> bool:
    """Say whether an attribute is kept whatever the limit: without it a record loses its meaning."""
    return name.startswith(_NEVER_LEFT_OUT)
