"""What all activities of one decorated function, or of one name, have in common."""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any, Final

from provtel_model import attributes as names
from provtel_model.journal.layout import Kind, pack

from provtel.interned import Interned
from provtel.outputs import Outputs
from provtel.parameters import Parameters
from provtel.plan import plan_of
from provtel.same_function import identity_of
from provtel.telemetry import PROCESS_SCOPE, Level, meter_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel.agents import Agent
    from provtel.redaction import Redaction
    from provtel.run import Run

WORKFLOW: Final = "workflow"
TASK: Final = "task"
LOOP: Final = "loop"
ITERATION: Final = "iteration"

NUMBERS: Final = itertools.count()
"""Of definitions, within this process."""
_all: Final[weakref.WeakSet[Definition]] = weakref.WeakSet()
_measuring = Level.CPU
_MAX_FROM_ELSEWHERE: Final = 1000
_from_elsewhere: Final[dict[tuple[Any, ...], Definition]] = {}


class Definition(Interned):
    """The static facts of activities; a segment of the journal holds them once.

    Args:
        kind: Kind of the activities.
        name: Their name.
        function: The function that they are calls of, where they are.
        outputs: Names of what it returns.
        tags: The user's tags.
        subtype: The user's word for what kind of task it is.
        attempt: Which attempt at the task it is.
        campaign: Campaign of a workflow.
        agent: Who acts in them and in all that starts inside.
        telemetry: How much is measured of what they cost; ``None`` for what the settings say.
        capture_values: The content of what they use and generate is kept, not only its type.
        shares_thread: Other activities may run in its thread between its start and its end.
    """

    def __init__(  # noqa: PLR0913  # what a user may say of an activity
        self,
        kind: str,
        name: str,
        *,
        function: Callable[..., Any] | None = None,
        outputs: str | tuple[str, ...] | list[str] | None = None,
        tags: tuple[str, ...] = (),
        subtype: str | None = None,
        attempt: int | None = None,
        campaign: str | None = None,
        agent: Agent | None = None,
        telemetry: Level | None = None,
        capture_values: bool = True,
        shares_thread: bool = False,
    ) -> None:
        """Number the definition within this process."""
        self._words = (kind, name, function, outputs, tags, subtype, attempt, campaign, agent)
        self.number = next(NUMBERS)
        self.kind = kind
        self.name = name
        self.has_own_run = kind == WORKFLOW or agent is not None
        self.outputs = Outputs(outputs)
        self.parameters = Parameters(function) if function is not None else _NO_PARAMETERS
        self._wanted_level = telemetry
        self._shares_thread = shares_thread
        self.measure()
        self.captures_values = capture_values
        self.arity = self.parameters.arity
        self.keeps_none = outputs is not None
        self.guarded: bool | None = None
        """Whether inputs have to be looked at by role: for secrets, or a method's instance; ``None``: not known yet."""
        self._payload: bytes | None = None
        self._function = function
        self._tags = tags
        self._campaign = campaign
        self._agent = agent
        marks = {names.WORKFLOW_TASK_SUBTYPE: subtype, names.WORKFLOW_TASK_ATTEMPT: attempt}
        self._attributes = {name: mark for name, mark in marks.items() if mark is not None}
        _all.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be made again elsewhere: a decorated function of a main module may go to other processes as a whole."""
        switches = self._wanted_level, self.captures_values, self._shares_thread
        return _made_again, (self._words, switches)

    def measure(self) -> None:
        """Measure what activities cost, where that is wanted of these and of any."""
        wanted = self._wanted_level
        self.level = _measuring if wanted is None or _measuring is Level.OFF else wanted
        self.telemetry = self.level is not Level.OFF
        self.meter = meter_for(self.level, shares_thread=self._shares_thread)

    def is_guarded(self, redaction: Redaction) -> bool:
        """Find out what `guarded`, `is_plain` and `takes_plain` are."""
        hidden = not self.captures_values or any(map(redaction.hides, self.parameters.roles))
        self.guarded = hidden or self.parameters.receiver is not None
        self.is_plain = not self.guarded
        self.takes_plain = (
            self.captures_values and len(self.outputs.roles) == 1 and not redaction.hides(self.outputs.roles[0])
        )
        return self.guarded

    def run_within(self, run: Run, activity_id: str) -> Run:
        """Return the run of an activity that starts in another one's."""
        if self._agent is not None:
            run = self._agent.applied_to(run)
        return run.nested(activity_id, self.name, self._campaign) if self.kind == WORKFLOW else run

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
        if self._attributes:
            facts["attributes"] = self._attributes
        if self._shares_thread and self.telemetry:
            facts["telemetry"] = PROCESS_SCOPE
        return pack([Kind.DEFINITION.value, self.number, self.parameters.roles, self.outputs.roles, facts])


def _made_again(words: tuple[Any, ...], switches: tuple[Level | None, bool, bool]) -> Definition:
    """Return the definition that another process has; the same one for the same words."""
    kind, name, function, outputs, tags, subtype, attempt, campaign, agent = words
    identity = None if function is None else identity_of(function)
    key = (kind, name, identity, repr(outputs), tags, subtype, attempt, campaign, agent, switches)
    known = _from_elsewhere.get(key)
    if known is None or (function is not None and identity is None):
        telemetry, capture_values, shares_thread = switches
        known = Definition(
            kind,
            name,
            function=function,
            outputs=outputs,
            tags=tags,
            subtype=subtype,
            attempt=attempt,
            campaign=campaign,
            agent=agent,
            telemetry=telemetry,
            capture_values=capture_values,
            shares_thread=shares_thread,
        )
        if len(_from_elsewhere) >= _MAX_FROM_ELSEWHERE:
            _from_elsewhere.clear()
        _from_elsewhere[key] = known
    return known


def measure_all(level: Level) -> None:
    """Measure so much of those that say nothing of it; of none, whatever they say, where the level is off."""
    global _measuring  # noqa: PLW0603  # settings are known later than definitions
    if level is not _measuring:
        _measuring = level
        measure_again()


def measure_again() -> None:
    """Measure from now on by the meters of now."""
    for definition in [*_all]:
        definition.measure()


_NO_PARAMETERS: Final = Parameters(lambda: None)
