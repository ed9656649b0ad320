"""Which spans of tracers are kept: OpenTelemetry's standard samplers without its SDK, or any sampler of the SDK."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from provtel import notices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanContext, SpanKind, TraceState

VARIABLE: Final = "OTEL_TRACES_SAMPLER"
ARGUMENT_VARIABLE: Final = "OTEL_TRACES_SAMPLER_ARG"
_DEFAULT: Final = "parentbased_always_on"
_PARENT_BASED: Final = "parentbased_"
_ALL: Final = 2**64
_ROOTS: Final = frozenset({"always_on", "always_off", "traceidratio"})


class Asked(NamedTuple):
    """A span that may start.

    Args:
        context: Context that it would start in.
        parent: Context of the span around it.
        trace: Trace id.
        name: Its name.
        kind: Its kind.
        attributes: What is known of it.
        links: Its links.
    """

    context: Context | None
    parent: SpanContext | None
    trace: bytes
    name: str
    kind: SpanKind
    attributes: Mapping[str, Any] | None
    links: Sequence[Link] | None


class Decision(NamedTuple):
    """What becomes of a span.

    Args:
        recorded: It records what it is told.
        sampled: It is kept, and so are those inside of it where nobody decides otherwise.
        attributes: What it has at its start.
        state: Trace state that it passes on.
    """

    recorded: bool
    sampled: bool
    attributes: Mapping[str, Any] | None
    state: TraceState | None


class Sampler(Protocol):
    """Decides on spans."""

    def decide(self, asked: Asked) -> Decision:
        """Return what becomes of a span."""


class StandardSampler:
    """One of the samplers that every OpenTelemetry SDK has.

    Args:
        share: Which share of the traces is kept.
        parent_based: A span inside another one is kept where that is.
    """

    def __init__(self, share: float = 1.0, *, parent_based: bool = True) -> None:
        """Keep them."""
        self._bound = round(share * _ALL)
        self._parent_based = parent_based

    @property
    def keeps_all(self) -> bool:
        """Say whether all are kept that are not inside of one that is not."""
        return self._parent_based and self._bound >= _ALL

    def decide(self, asked: Asked) -> Decision:
        """Return what becomes of a span; a trace has one answer in every process."""
        parent = asked.parent
        if parent is not None and self._parent_based:
            kept = parent.trace_flags.sampled
        else:
            kept = int.from_bytes(asked.trace[8:], "big") < self._bound
        return Decision(kept, kept, asked.attributes, None if parent is None else parent.trace_state)


class SdkSampler:
    """A sampler of the SDK, or of a program, behind the SDK's interface.

    Args:
        sampler: It.
    """

    def __init__(self, sampler: Any) -> None:
        """Keep it."""
        self._sampler = sampler

    def decide(self, asked: Asked) -> Decision:
        """Ask it."""
        trace_id = int.from_bytes(asked.trace, "big")
        links = asked.links or ()
        result = self._sampler.should_sample(asked.context, trace_id, asked.name, asked.kind, asked.attributes, links)
        decision = result.decision
        return Decision(decision.is_recording(), decision.is_sampled(), result.attributes, result.trace_state)


def of_environment(environment: Mapping[str, str] = os.environ) -> Sampler:
    """Return the sampler that the environment names: a standard one, or one that a package registered by its name."""
    name = environment.get(VARIABLE, "").strip() or _DEFAULT
    argument = environment.get(ARGUMENT_VARIABLE, "")
    root = name.lower().removeprefix(_PARENT_BASED)
    if root in _ROOTS:
        share = _share(argument) if root == "traceidratio" else float(root == "always_on")
        return StandardSampler(share, parent_based=name.lower().startswith(_PARENT_BASED))
    return _registered(name, argument) or StandardSampler()


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if 0.0 <= share <= 1.0:
        return share
    notices.say("sampler", f"the variable {ARGUMENT_VARIABLE} is ignored: {text!r} (write a number from 0 to 1)")
    return 1.0


def _registered(name: str, argument: str) -> Sampler | None:
    from importlib.metadata import entry_points

    for entry in entry_points(group="opentelemetry_traces_sampler", name=name):
        try:
            return SdkSampler(entry.load()(argument))
        except Exception as error:  # noqa: BLE001  # another's code
            notices.say("sampler", f"the sampler {name!r} cannot be made: {error}; {_DEFAULT} holds")
            return None
    notices.say("sampler", f"the variable {VARIABLE} is ignored: no sampler is called {name!r}; {_DEFAULT} holds")
    return None
