"""The root of a run that many processes belong to, recorded by one of them under ids that all know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from provtel_model.store_folder import find_store

from provtel import marks
from provtel.activity import Activity
from provtel.block import definition_of
from provtel.definition import WORKFLOW
from provtel.lifetime import end_at_exit
from provtel.otel_context import attach, detach
from provtel.telemetry import Level

if TYPE_CHECKING:
    from provtel.identity import Identity
    from provtel.recorder import Recorder

_MARK: Final = "root-"


class Root(Activity):
    """The workflow of a run; it lasts as long as the process that records it, and is current nowhere.

    Args:
        recorder: Takes its start and its end.
        identity: Which run it is the root of.
    """

    def __init__(self, recorder: Recorder, identity: Identity) -> None:
        """Write the start."""
        definition = definition_of(WORKFLOW, identity.name, telemetry=Level.OFF)
        token = attach(Context())
        try:
            self.begin(recorder, definition, {}, None, 0, (identity.trace, identity.root or 1, None))
        finally:
            detach(token)

    def _leave_for_good(self) -> None:
        self.leave_unentered()


def begin(recorder: Recorder, identity: Identity) -> None:
    """Record the root until this process exits, where no other process has recorded it."""
    # Processes that this one starts, and those that follow it in a batch script, are told the same of themselves.
    store, mark = find_store(), _MARK + identity.trace.hex()
    if not marks.is_marked(store, mark):
        # It is marked when there is a store, which the start makes.
        end_at_exit(Root(recorder, identity))
        marks.mark(store, mark)
