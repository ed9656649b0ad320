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
    from provtel_model.components import Context

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

    def edit(signal: Signal, request: Any) -> bool:
        return edit_items(signal, request, skipped[signal], actions)

    return EditingProcessor(context, edit)


def edit_items(signal: Signal, request: Any, skipped: Matches | None, actions: Actions) -> bool:
    """Do actions to all items that are not skipped; return whether any may have changed."""
    changed = False
    for group, part, item in walk(signal, request):
        if skipped is None or not skipped(group, part, item):
            for owner in data_points(item) if signal is Signal.METRICS else (item,):
                changed = actions.apply(owner.attributes) or changed
    return changed
