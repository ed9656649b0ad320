"""What all activities of one decorated function, or of one name, have in common."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from provtel_model import attributes as names
from provtel_model.journal.layout import Kind, pack

from provtel import telemetry
from provtel.outputs import Outputs
from provtel.parameters import Parameters
from provtel.plan import plan_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_model.anyvalue import AnyValue

    from provtel.redaction import Redaction

WORKFLOW: Final = "workflow"
TASK: Final = "task"
LOOP: Final = "loop"
ITERATION: Final = "iteration"

_numbers: Final = itertools.count()


class Definition:
    """The static facts of activities; a segment of the journal holds them once.

    Args:
        kind: Kind of the activities.
        name: Their name.
        function: The function that they are calls of, where they are.
        outputs: Names of what it returns.
        tags: The user's tags.
        subtype: The user's word for what kind of task it is.
        shares_thread: Other activities may run in its thread between its start and its end.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        *,
        function: Callable[..., Any] | None = None,
        outputs: str | tuple[str, ...] | list[str] | None = None,
        tags: tuple[str, ...] = (),
        subtype: str | None = None,
        shares_thread: bool = False,
    ) -> None:
        """Number the definition within this process."""
        self.number = next(_numbers)
        self.kind = kind
        self.name = name
        self.is_workflow = kind == WORKFLOW
        self.stamp: object = None
        self.outputs = Outputs(outputs)
        self.parameters = Parameters(function) if function is not None else _NO_PARAMETERS
        self.usage = telemetry.usage_of_process if shares_thread else telemetry.usage_of_thread
        self.guarded: bool | None = None
        """Whether inputs have to be looked at by role: for secrets, or a method's instance; ``None``: not known yet."""
        self.takes_scalar = False
        """Whether a number that is returned is the one output, as it is."""
        self._payload: bytes | None = None
        self._function = function
        self._tags = tags
        self._subtype = subtype
        self._shares_thread = shares_thread

    def is_guarded(self, redaction: Redaction) -> bool:
        """Find out what `guarded` and `takes_scalar` are."""
        self.guarded = self.parameters.receiver is not None or any(map(redaction.hides, self.parameters.roles))
        self.takes_scalar = len(self.outputs.roles) == 1 and not redaction.hides(self.outputs.roles[0])
        return self.guarded

    def payload(self) -> bytes:
        """Return the frame's payload; reading the source waits for the first call."""
        # No functools.cached_property: it has a lock, in which a forked child would hang.
        if self._payload is None:
            self._payload = self._make_payload()
        return self._payload

    def _make_payload(self) -> bytes:
        facts: dict[str, Any] = {"kind": self.kind, "name": self.name}
        if self._function is not None:
            facts["plan"] = plan_of(self._function)
        if self._tags:
            facts["tags"] = [*self._tags]
        if self._subtype is not None:
            attributes: dict[str, AnyValue] = {names.WORKFLOW_TASK_SUBTYPE: self._subtype}
            facts["attributes"] = attributes
        if self._shares_thread:
            facts["telemetry"] = telemetry.PROCESS_SCOPE
        return pack([Kind.DEFINITION.value, self.number, self.parameters.roles, self.outputs.roles, facts])


_NO_PARAMETERS: Final = Parameters(lambda: None)
