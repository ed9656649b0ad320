"""The ``attributes`` processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provtel_model.components import Signal
from provtel_model.errors import ConfigError

from provtel_collector.processors.attribute_actions import Actions
from provtel_collector.processors.editing import EditingProcessor
from provtel_collector.processors.matching import Matches, skips
from provtel_collector.requests import data_points, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.components import Batch, Context

    from provtel_collector.processors.attributes.config import AttributesConfig


def make_processor(config: AttributesConfig, context: Context) -> EditingProcessor:
    """Return a processor that does the actions to whatever is included and not excluded.

    Raises:
        ConfigError: A signal that comes here cannot be matched like this.
    """
    try:
        skipped = {signal: skips(config.include, config.exclude, signal) for signal in context.next}
    except ValueError as error:
        raise ConfigError(str(error), f"processors::{context.id}") from error
    actions = Actions(config.actions)

    def edit(batch: Batch, request: Any) -> bool:
        changed = False
        for owner in _owners(batch.signal, request, skipped[batch.signal]):
            changed = actions.apply(owner.attributes, batch.metadata) or changed
        return changed

    return EditingProcessor(context, edit)


def _owners(signal: Signal, request: Any, skipped: Matches | None) -> Iterator[Any]:
    """Yield what has attributes and is not skipped."""
    for group, part, item in walk(signal, request):
        if skipped is None or not skipped(group, part, item):
            yield from data_points(item) if signal is Signal.METRICS else (item,)
