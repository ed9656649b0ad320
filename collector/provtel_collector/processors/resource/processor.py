"""The ``resource`` processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provtel_collector.processors.attribute_actions import Actions
from provtel_collector.processors.editing import EditingProcessor
from provtel_collector.requests import resources

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context

    from provtel_collector.processors.resource.config import ResourceConfig


def make_processor(config: ResourceConfig, context: Context) -> EditingProcessor:
    """Return a processor that does the actions to every resource."""
    actions = Actions(config.attributes)

    def edit(batch: Batch, request: Any) -> bool:
        changed = False
        for group in resources(batch.signal, request):
            changed = actions.apply(group.resource.attributes, batch.metadata) or changed
        return changed

    return EditingProcessor(context, edit)
