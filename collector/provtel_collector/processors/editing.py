"""A processor that is an edit: it gives on each batch as the edit leaves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from provtel_model.components import Batch, Signal

from provtel_collector.requests import count, parse, resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.components import Consumer, Context

Edit = Callable[[Batch, Any], bool]
"""Changes the request of a batch in place, and returns whether it did."""


class EditingProcessor:
    """Gives each batch on as an edit leaves it: the same bytes where nothing changed, nothing where nothing is left.

    Args:
        context: Where it stands.
        edit: Changes the request of a batch in place, and returns whether it did.
        dropped: Names of the metrics that count what the edit removed, by signal.
        attributes: What these are told apart by.
    """

    def __init__(
        self,
        context: Context,
        edit: Edit,
        dropped: Mapping[Signal, str] = MappingProxyType({}),
        attributes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._next: Mapping[Signal, Consumer] = context.next
        self._report = context.report
        self._edit = edit
        self._dropped = dropped
        self._attributes = attributes

    def start(self) -> None:
        """Need nothing."""

    def shutdown(self) -> None:
        """Release nothing."""

    def consume(self, batch: Batch) -> None:
        """Give on what the edit leaves."""
        request = parse(batch)
        if self._edit(batch, request):
            left = count(batch.signal, request)
            if batch.signal in self._dropped and left < batch.items:
                self._report(self._dropped[batch.signal], batch.items - left, self._attributes)
            if not resources(batch.signal, request):
                return
            batch = replace(batch, payload=request.SerializeToString(), items=left)
        self._next[batch.signal].consume(batch)
