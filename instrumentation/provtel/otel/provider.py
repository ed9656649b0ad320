"""The tracer provider: OpenTelemetry's own interface, with the journal behind it."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.trace import NoOpTracer
from provtel_model.hashing import canonical_bytes
from provtel_model.values import encode

from provtel import ids, watching
from provtel.otel import sampling
from provtel.otel.limits import Limits
from provtel.otel.processors import Processors
from provtel.otel.scope import Scope
from provtel.otel.tracer import JournalTracer
from provtel.recording import recorder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Tracer
    from provtel_model.record import PlainScope

_MAX_TRACERS: Final = 1000
_DISABLED: Final = "OTEL_SDK_DISABLED"


class TracerProvider(trace.TracerProvider):
    """Gives tracers whose spans are kept in the journal of this process, beside its tasks.

    It takes the place of the SDK's provider, and the arguments of that one. The SDK is needed only by who passes
    something of it: a sampler, limits, a resource, a span processor.

    Args:
        sampler: A sampler of the SDK; without one the environment says which, by ``OTEL_TRACES_SAMPLER``.
        resource: A resource of the SDK, that the spans have beside what is known of every process.
        shutdown_on_exit: Shut down with the process.
        id_generator: An id generator of the SDK.
        span_limits: Limits of the SDK; without them the environment says which.
        is_journaled: Spans go to the journal; where they do not, only span processors are told of them.
    """

    def __init__(
        self,
        sampler: Any = None,
        resource: Any = None,
        shutdown_on_exit: bool = True,  # noqa: FBT001, FBT002  # the SDK's
        id_generator: Any = None,
        span_limits: Any = None,
        *,
        is_journaled: bool = True,
    ) -> None:
        """Read the environment for what was not given."""
        self.sampler = sampling.of_environment() if sampler is None else sampling.SdkSampler(sampler)
        self.is_journaled = is_journaled
        self.is_shut_down = False
        self.keeps_all = (
            is_journaled
            and id_generator is None
            and isinstance(self.sampler, sampling.StandardSampler)
            and self.sampler.keeps_all
        )
        """A span is kept, in a trace and under an id of ours, unless it is in one that is not."""
        self._limits = Limits.of_environment() if span_limits is None else Limits.of_sdk(span_limits)
        self._given = {} if resource is None else _forms(resource.attributes)
        self._whole: tuple[dict[str, Any], dict[str, Any]] = {}, {**self._given}
        self._ids = id_generator
        self._tracers: dict[bytes, JournalTracer] = {}
        self.processors: Processors | None = None
        """Those who are told of its spans, while there are any."""
        self._is_disabled = os.environ.get(_DISABLED, "").strip().lower() == "true"
        if shutdown_on_exit:
            atexit.register(self.shutdown)

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Tracer:
        """Return the tracer of a library; the same one for the same words."""
        if self._is_disabled:
            return NoOpTracer()
        scope: PlainScope = {"name": str(instrumenting_module_name or "")}
        if instrumenting_library_version:
            scope["version"] = str(instrumenting_library_version)
        if schema_url:
            scope["schema_url"] = str(schema_url)
        if attributes:
            scope["attributes"] = _forms(attributes)
        key = canonical_bytes({**scope})  # type: ignore[dict-item]  # a scope is in AnyValue form
        known = self._tracers.get(key)
        if known is None:
            known = JournalTracer(self, self._new_scope(scope))
            # Some libraries ask anew for each request; who makes names of data gets tracers that nobody remembers.
            if len(self._tracers) < _MAX_TRACERS:
                self._tracers[key] = known
        return known

    def _new_scope(self, scope: PlainScope) -> Scope:
        return Scope(scope, self._given, self._limits, self.processors)

    def add_span_processor(self, span_processor: Any) -> None:
        """Tell a span processor of the SDK of every span from now on."""
        if self.processors is None:
            from provtel.otel.readable import reader

            self.processors = Processors(reader(self._resource))
            for tracer in self._tracers.values():
                tracer.tell(self.processors)
            watching.ask_again()
        self.processors.add(span_processor)

    @property
    def resource(self) -> Any:
        """The resource of its spans, as the SDK's."""
        from opentelemetry.sdk.resources import Resource

        return Resource({**self._resource()})

    def _resource(self) -> dict[str, Any]:
        taking = recorder()
        known = {} if taking is None else taking.resource()
        if self._whole[0] is not known:
            self._whole = known, {**known, **self._given}
        return self._whole[1]

    def new_trace_id(self) -> bytes:
        """Return a new trace id."""
        return ids.new_trace_id() if self._ids is None else int(self._ids.generate_trace_id()).to_bytes(16, "big")

    def new_span_id(self) -> int:
        """Return a new span id."""
        return ids.new_span_id() if self._ids is None else int(self._ids.generate_span_id())

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Let every span that ended reach its destination; say whether all did in time.

        What goes to a store is in the journal when it ends, so there is nothing to wait for.
        """
        taking = recorder()
        flushed = taking is None or taking.flush(timeout_millis / 1000)
        return (self.processors is None or self.processors.force_flush(timeout_millis)) and flushed

    def shutdown(self) -> None:
        """Record no more spans, and shut the span processors down; the journal goes on for tasks."""
        if not self.is_shut_down:
            self.is_shut_down = True
            atexit.unregister(self.shutdown)
            if self.processors is not None:
                self.processors.shutdown()


def _forms(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): encode([*value] if isinstance(value, tuple) else value) for key, value in attributes.items()}
