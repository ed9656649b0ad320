"""The ``provenance`` processor."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from provtel_model.components import Signal

from provtel_collector.counters import ITEMS
from provtel_collector.processors.editing import EditingProcessor
from provtel_collector.processors.provenance.activities import Activity, activities
from provtel_collector.processors.provenance.checks import problems
from provtel_collector.processors.provenance.completing import complete_plan, flatten, nest
from provtel_collector.processors.provenance.workflows import Workflows

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_model.components import Batch, Context

    from provtel_collector.processors.provenance.config import ProvenanceConfig

_log = logging.getLogger(__name__)


def make_processor(config: ProvenanceConfig, context: Context) -> ProvenanceProcessor:
    """Return a processor that checks and completes spans and the log records that tell of activities."""
    return ProvenanceProcessor(config, context)


class ProvenanceProcessor:
    """Checks and completes; nothing is dropped, and what needs no change goes on as the bytes that came.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: ProvenanceConfig, context: Context) -> None:
        self._context = context
        # Shared with the one of the other signal: the start of a parent is a log record, that of a child a span.
        known: Workflows = context.shared.setdefault("workflows", Workflows(config.remembered))
        self._workflows = known if config.workflow else None
        self._edits: list[tuple[str, Callable[[Activity], bool]]] = []
        if config.data != "keep":
            self._edits.append(("data", nest if config.data == "nested" else flatten))
        if config.plan:
            self._edits.append(("plan", complete_plan))
        self._editing = EditingProcessor(context, self._edit)

    def start(self) -> None:
        """Warn where half of what tells of activities has no way through this collector."""
        missing = {Signal.TRACES, Signal.LOGS} - self._context.signals
        if missing:
            _log.warning(
                "%s: no pipeline carries %s; activities that have ended are spans, those that have not are log "
                "records: name both, or half of them is missing",
                self._context.id,
                missing.pop(),
            )

    def shutdown(self) -> None:
        """Release nothing."""

    def consume(self, batch: Batch) -> None:
        """Give a batch on, completed."""
        self._editing.consume(batch)

    def _edit(self, batch: Batch, request: Any) -> bool:
        signal = batch.signal
        found = list(activities(signal, request))
        changed = False
        for activity in found:
            for problem in problems(activity):
                self._count("malformed", signal, "reason", problem)
            for what, edit in self._edits:
                if edit(activity):
                    self._count("completed", signal, "what", what)
                    changed = True
        return self._put_workflows(signal, found) or changed

    def _put_workflows(self, signal: Signal, found: list[Activity]) -> bool:
        if self._workflows is None:
            return False
        completed = self._workflows.complete(found)
        for _ in range(completed):
            self._count("completed", signal, "what", "workflow")
        return completed > 0

    def _count(self, what: str, signal: Signal, key: str, value: str) -> None:
        self._context.report(f"processor_provenance_{what}_{ITEMS[signal]}", 1, {key: value})
