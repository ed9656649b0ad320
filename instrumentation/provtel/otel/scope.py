"""What the spans of one tracer have in common: its scope, its limits, and for each name what the journal holds once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanKind
from provtel_model.journal.layout import Kind, pack
from provtel_model.record import DEFAULT_KIND

from provtel.definition import NUMBERS
from provtel.interned import Interned

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainScope

    from provtel.otel.limits import Limits
    from provtel.otel.processors import Processors

_MAX_NAMES: Final = 1000
_WIRE_KINDS: Final = {kind: kind.value + 1 for kind in SpanKind}


class SpanDefinition(Interned):
    """The facts of spans of one name of a tracer.

    Args:
        facts: Fields of the plain record.
        is_nameless: The name is not among them.
    """

    def __init__(self, facts: dict[str, Any], *, is_nameless: bool) -> None:
        """Number it within this process."""
        self.number = next(NUMBERS)
        self.is_nameless = is_nameless
        self._payload = pack([Kind.DEFINITION.value, self.number, [], [], facts])

    def payload(self) -> bytes:
        """Return the frame's payload."""
        return self._payload


class Scope:
    """The scope of a tracer.

    Args:
        scope: It, as a record has it.
        resource: What a program said of the process besides, when it made the provider.
        limits: How much its spans may say.
        processors: Those who are told of its spans, while there are any.
    """

    def __init__(
        self, scope: PlainScope, resource: dict[str, AnyValue], limits: Limits, processors: Processors | None
    ) -> None:
        """Begin with no names."""
        self.limits = limits
        self.processors = processors
        self.plain = scope
        self._facts: dict[str, Any] = {"scope": scope, **({"resource": resource} if resource else {})}
        self._definitions: dict[tuple[str, SpanKind], SpanDefinition] = {}
        self._nameless: dict[SpanKind, SpanDefinition] = {}

    def definition_of(self, name: str, kind: SpanKind) -> SpanDefinition:
        """Return the definition of spans of a name and a kind."""
        known = self._definitions.get((name, kind))
        if known is not None:
            return known
        facts = {"kind": DEFAULT_KIND, "name": name, "span_kind": _WIRE_KINDS[kind], **self._facts}
        # Names may be made of data: beyond so many each span has its own.
        if len(self._definitions) < _MAX_NAMES:
            made = self._definitions[name, kind] = SpanDefinition(facts, is_nameless=False)
            return made
        if kind not in self._nameless:
            self._nameless[kind] = SpanDefinition({**facts, "name": ""}, is_nameless=True)
        return self._nameless[kind]
