"""The ``redaction`` processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provtel_model.components import Signal

from provtel_collector.processors.editing import EditingProcessor
from provtel_collector.processors.redaction.rules import Rules
from provtel_collector.requests import data_points, resources, scopes, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.components import Batch, Context

    from provtel_collector.processors.redaction.config import RedactionConfig


def make_processor(config: RedactionConfig, context: Context) -> EditingProcessor:
    """Return a processor that redacts resources, scopes, spans, events, log records with their bodies, data points."""
    rules = Rules(config)

    def edit(batch: Batch, request: Any) -> bool:
        changed = False
        for attributes in _lists(batch.signal, request):
            changed = rules.redact(attributes) or changed
        if batch.signal is Signal.LOGS:
            for _, _, log in walk(batch.signal, request):
                changed = rules.redact_body(log.body, log.attributes) or changed
        return changed

    return EditingProcessor(context, edit)


def _lists(signal: Signal, request: Any) -> Iterator[Any]:
    for group in resources(signal, request):
        yield group.resource.attributes
        for part in scopes(signal, group):
            yield part.scope.attributes
    for _, _, item in walk(signal, request):
        if signal is Signal.METRICS:
            yield from (point.attributes for point in data_points(item))
            continue
        yield item.attributes
        if signal is Signal.TRACES:
            yield from (event.attributes for event in item.events)
