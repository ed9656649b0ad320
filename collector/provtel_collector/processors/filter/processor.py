"""The ``filter`` processor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from provtel_model.components import Signal
from provtel_model.errors import ConfigError

from provtel_collector.conditions import Condition, Decider, Level, Place, parse_condition
from provtel_collector.processors.editing import EditingProcessor
from provtel_collector.processors.matching import Matches, attributes_match, skips
from provtel_collector.requests import data_points, drop, items, resources, scopes

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context

    from provtel_collector.processors.filter.config import (
        FilterConfig,
        LogMatchConfig,
        MetricMatchConfig,
    )
    from provtel_collector.processors.matching import MatchConfig

_COUNTED: Final = {
    Signal.TRACES: "processor_filter_spans.filtered",
    Signal.LOGS: "processor_filter_logs.filtered",
    Signal.METRICS: "processor_filter_datapoints.filtered",
}

Drops = Callable[[Place], bool]


def make_processor(config: FilterConfig, context: Context) -> EditingProcessor:
    """Return a processor that drops what is not included, what is excluded, and what a condition holds for.

    Raises:
        ConfigError: A signal that comes here cannot be matched like this.
    """
    try:
        filters = {signal: _filters(config, signal, f"processors::{context.id}") for signal in context.next}
    except ValueError as error:
        raise ConfigError(str(error), f"processors::{context.id}") from error

    def edit(batch: Batch, request: Any) -> bool:
        changed = False
        for one in filters[batch.signal]:
            changed = one.apply(batch.signal, request) or changed
        return changed

    return EditingProcessor(context, edit, _COUNTED, {"filter": context.id})


def _filters(config: FilterConfig, signal: Signal, owner: str) -> list[Filter]:
    by_likeness = _likeness(config, signal)
    if by_likeness is not None:
        return [by_likeness]
    filters = []
    for given in config.conditions(signal):
        conditions = [parse_condition(text, signal, given.context) for text in given.conditions]
        filters.append(Filter.of_conditions(conditions, Decider(owner, given.error_mode or config.error_mode)))
    return filters


def _likeness(config: FilterConfig, signal: Signal) -> Filter | None:
    if not config.named(signal):
        return None
    if signal is Signal.METRICS:
        return _metrics_likeness(config)
    if signal is Signal.TRACES:
        unwanted = skips(config.spans.include, config.spans.exclude, signal)
    else:
        unwanted = skips(_match(config.logs.include), _match(config.logs.exclude), signal)
    return Filter(item=_at_item(unwanted) if unwanted else None)


def _match(config: LogMatchConfig | MetricMatchConfig | None) -> MatchConfig | None:
    return config.to_match() if config else None


def _metrics_likeness(config: FilterConfig) -> Filter:
    include, exclude = config.metrics.include, config.metrics.exclude
    unwanted = skips(_match(include), _match(exclude), Signal.METRICS)
    wanted_resource = include and include.resource_attributes
    kept = attributes_match(include.resource_attributes, include.match_type) if include else lambda _: True
    doomed = (
        attributes_match(exclude.resource_attributes, exclude.match_type)
        if exclude and exclude.resource_attributes
        else lambda _: False
    )

    def drops(place: Place) -> bool:
        attributes = place.group.resource.attributes
        return bool(wanted_resource and not kept(attributes)) or doomed(attributes)

    return Filter(resource=drops, item=_at_item(unwanted) if unwanted else None)


def _at_item(unwanted: Matches) -> Drops:
    return lambda place: unwanted(place.group, place.scoped, place.item)


@dataclass(frozen=True)
class Filter:
    """What is dropped at each level; what is left empty by it goes too, except a span without events.

    Args:
        resource: Says which resources are dropped with all that they have.
        scope: Says which scopes are.
        item: Says which spans, log records and metrics are.
        part: Says which events of spans and which data points are.
    """

    resource: Drops | None = None
    scope: Drops | None = None
    item: Drops | None = None
    part: Drops | None = None

    @classmethod
    def of_conditions(cls, conditions: list[Condition], decider: Decider) -> Filter:
        """Return what drops wherever one of several conditions holds."""
        by_level = [[one for one in conditions if one.level is level] for level in Level]
        return cls(*(_any_holds(several, decider) if several else None for several in by_level))

    def apply(self, signal: Signal, request: Any) -> bool:
        """Drop in place; return whether anything was dropped."""
        changed = False

        def group_is_dropped(group: Any) -> bool:
            nonlocal changed
            if self.resource is not None and self.resource(Place(group)):
                return True
            changed = self._apply_group(signal, group) or changed
            return not scopes(signal, group)

        return drop(resources(signal, request), group_is_dropped) or changed

    def _apply_group(self, signal: Signal, group: Any) -> bool:
        if self.scope is self.item is self.part is None:
            return False
        changed = False

        def scope_is_dropped(scoped: Any) -> bool:
            nonlocal changed
            if self.scope is not None and self.scope(Place(group, scoped)):
                return True
            changed = self._apply_scope(signal, group, scoped) or changed
            return not items(signal, scoped)

        return drop(scopes(signal, group), scope_is_dropped) or changed

    def _apply_scope(self, signal: Signal, group: Any, scoped: Any) -> bool:
        if self.item is self.part is None:
            return False
        changed = False

        def item_is_dropped(item: Any) -> bool:
            nonlocal changed
            if self.item is not None and self.item(Place(group, scoped, item)):
                return True
            if self.part is None:
                return False
            parts = item.events if signal is Signal.TRACES else data_points(item)
            part = self.part
            dropped = bool(parts) and drop(parts, lambda one: part(Place(group, scoped, item, one)))
            changed = dropped or changed
            return signal is Signal.METRICS and dropped and not parts

        return drop(items(signal, scoped), item_is_dropped) or changed


def _any_holds(conditions: list[Condition], decider: Decider) -> Drops:
    return lambda place: any(decider.holds(condition, place) for condition in conditions)
