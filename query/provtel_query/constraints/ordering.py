"""Constraints 30 to 49: the order of events, which is a preorder with steps that must not be simultaneous.

All generations of an entity are simultaneous (39), and so are its invalidations (40), and the starts (31) and the ends
(32) of an activity: each is one event here. An order is impossible where a strict step, which only a derivation makes
(42), lies on a cycle.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from provtel_query.constraints.statements import ABSENT, Kind, Statement, Term
from provtel_query.constraints.verdict import NAMES, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_query.constraints.unification import Unification
    from provtel_query.constraints.verdict import Finding

_GENERATION, _INVALIDATION, _START, _END, _USAGE = "generation", "invalidation", "start", "end", "usage"
_SIMULTANEOUS: Final = {_GENERATION: 39, _INVALIDATION: 40, _START: 31, _END: 32, _USAGE: 23}
_LIVES: Final = {Kind.ENTITY: (_GENERATION, _INVALIDATION), Kind.ACTIVITY: (_START, _END)}
_EVENTS: Final = {
    Kind.GENERATION: (_GENERATION, 2),
    Kind.INVALIDATION: (_INVALIDATION, 2),
    Kind.START: (_START, 3),
    Kind.END: (_END, 3),
    Kind.USAGE: (_USAGE, 2),
}
"""The event that a statement is about, and which of its arguments is the time."""


class Event(NamedTuple):
    """Something that happened to an entity or an activity; a usage goes by its own identifier."""

    what: str
    of: Term

    def __str__(self) -> str:
        return f"the {self.what} of {self.of}" if self.what != _USAGE else f"the usage {self.of}"


@dataclass(frozen=True, slots=True)
class Step:
    """One event precedes another."""

    before: Event
    after: Event
    rule: int
    statement: Statement
    strict: bool = False


class Order:
    """The events of an instance, and which precedes which.

    Args:
        known: The statements, merged.
        bundle: Where they are, for findings.
    """

    def __init__(self, known: Unification, bundle: str) -> None:
        self._known = known
        self._bundle = bundle
        self._times: dict[Event, list[tuple[dt.datetime, Statement]]] = defaultdict(list)
        self._events = self._that_exist()
        self._steps: dict[Event, list[Step]] = defaultdict(list)
        for statement in known.statements:
            for step in self._steps_of(statement):
                if step.before in self._events and step.after in self._events:
                    self._steps[step.before].append(step)

    def violations(self) -> Iterator[Finding]:
        """Yield the cycles on which an event would precede itself, of those that hang together one."""
        component = _components({event: [step.after for step in steps] for event, steps in self._steps.items()})
        told: set[int] = set()
        for steps in list(self._steps.values()):
            for step in steps:
                around = component[step.before]
                if step.strict and component[step.after] == around and around not in told:
                    told.add(around)
                    yield self._cycle(step)

    def warnings(self) -> Iterator[Finding]:
        """Yield the recorded times that contradict the order."""
        for event, times in self._times.items():
            if len({time for time, _ in times}) > 1:
                reason = f"{event} has two times"
                yield finding(_SIMULTANEOUS[event.what], reason, [statement for _, statement in times], self._bundle)
        for steps in self._steps.values():
            for step in steps:
                yield from self._late(step)

    def _that_exist(self) -> set[Event]:
        """Return the events that were stated, and those that inferences 7 and 8 say there were."""
        found: set[Event] = set()
        for statement in self._known.statements:
            if statement.kind in _LIVES:
                term = self._known.terms.find(statement.id)
                for place, what in enumerate(_LIVES[statement.kind]):
                    found.add(Event(what, term))
                    if statement.arguments:
                        self._note(Event(what, term), self._known.argument(statement, place), statement)
            elif statement.kind in _EVENTS:
                event = self._event(statement)
                found.add(event)
                self._note(event, self._known.argument(statement, _EVENTS[statement.kind][1]), statement)
        return found

    def _note(self, event: Event, time: Term, statement: Statement) -> None:
        if isinstance(time, dt.datetime):
            self._times[event].append((time, statement))

    def _event(self, statement: Statement) -> Event:
        what, _ = _EVENTS[statement.kind]
        of = statement.id if what == _USAGE else statement.arguments[0]
        return Event(what, self._known.terms.find(of))

    def _steps_of(self, statement: Statement) -> Iterator[Step]:
        for before, after, rule in self._pairs(statement):
            yield Step(before, after, rule, statement, strict=rule == 42)  # noqa: PLR2004  # the only strict one

    def _pairs(self, statement: Statement) -> Iterator[tuple[Event, Event, int]]:  # noqa: C901, PLR0912  # a table
        at = [self._known.terms.find(argument) for argument in statement.arguments]
        match statement.kind:
            case Kind.ENTITY:
                of = self._known.terms.find(statement.id)
                yield Event(_GENERATION, of), Event(_INVALIDATION, of), 36
            case Kind.ACTIVITY:
                of = self._known.terms.find(statement.id)
                yield Event(_START, of), Event(_END, of), 30
            case Kind.GENERATION:
                yield from _within(self._event(statement), at[1], 34)
                yield self._event(statement), Event(_INVALIDATION, at[0]), 36
            case Kind.INVALIDATION:
                yield Event(_GENERATION, at[0]), self._event(statement), 36
            case Kind.USAGE:
                yield from _within(self._event(statement), at[0], 33)
                yield Event(_GENERATION, at[1]), self._event(statement), 37
                yield self._event(statement), Event(_INVALIDATION, at[1]), 38
            case Kind.COMMUNICATION:
                yield Event(_START, at[1]), Event(_END, at[0]), 35
            case Kind.START | Kind.END:
                rule = 43 if statement.kind is Kind.START else 44
                yield Event(_START, at[0]), Event(_END, at[0]), 30
                yield Event(_GENERATION, at[1]), self._event(statement), rule
                yield self._event(statement), Event(_INVALIDATION, at[1]), rule
            case Kind.DERIVATION:
                yield Event(_GENERATION, at[1]), Event(_GENERATION, at[0]), 42
                if at[2] is not ABSENT:
                    yield Event(_USAGE, at[4]), Event(_GENERATION, at[0]), 41
            case Kind.SPECIALIZATION:
                yield Event(_GENERATION, at[1]), Event(_GENERATION, at[0]), 45
                yield Event(_INVALIDATION, at[0]), Event(_INVALIDATION, at[1]), 46
            case Kind.ASSOCIATION:
                activity, agent = at[0], at[1]
                yield Event(_START, activity), Event(_INVALIDATION, agent), 47
                yield Event(_GENERATION, agent), Event(_END, activity), 47
                yield Event(_START, activity), Event(_END, agent), 47
                yield Event(_START, agent), Event(_END, activity), 47
            case Kind.ATTRIBUTION:
                yield Event(_GENERATION, at[1]), Event(_GENERATION, at[0]), 48
                yield Event(_START, at[1]), Event(_GENERATION, at[0]), 48
            case Kind.DELEGATION:
                yield Event(_GENERATION, at[1]), Event(_INVALIDATION, at[0]), 49
                yield Event(_START, at[1]), Event(_END, at[0]), 49

    def _cycle(self, strict: Step) -> Finding:
        steps = [strict, *self._way(strict.after, strict.before)]
        rules = ", ".join(f"{rule} {NAMES[rule]}" for rule in dict.fromkeys(step.rule for step in steps))
        events = " before ".join(str(step.before) for step in steps)
        reason = f"{events} before itself, by {rules}"
        return finding(strict.rule, reason, [step.statement for step in steps], self._bundle)

    def _way(self, start: Event, goal: Event) -> list[Step]:
        """Return the shortest way from one event to another that can be reached."""
        came: dict[Event, Step] = {}
        queue = deque([start])
        while goal != start and goal not in came:
            for step in self._steps.get(queue.popleft(), ()):
                if step.after != start and step.after not in came:
                    came[step.after] = step
                    queue.append(step.after)
        way: list[Step] = []
        while goal != start:
            way.append(came[goal])
            goal = came[goal].before
        return way[::-1]

    def _late(self, step: Step) -> Iterator[Finding]:
        for earlier, said in self._times.get(step.before, ()):
            for later, told in self._times.get(step.after, ()):
                if (earlier.tzinfo is None) == (later.tzinfo is None) and earlier > later:
                    reason = f"{step.before} at {earlier.isoformat()} is after {step.after} at {later.isoformat()}"
                    yield finding(step.rule, reason, [said, told, step.statement], self._bundle)


def _within(event: Event, activity: Term, rule: int) -> Iterator[tuple[Event, Event, int]]:
    yield Event(_START, activity), event, rule
    yield event, Event(_END, activity), rule


def _components(graph: dict[Event, list[Event]]) -> dict[Event, int]:
    """Return for each event the number of its strongly connected component (Tarjan 1972, without recursion)."""
    index: dict[Event, int] = {}
    lowest: dict[Event, int] = {}
    component: dict[Event, int] = {}
    path: list[Event] = []
    for root, reached in graph.items():
        work = [(root, iter(reached))] if root not in index else []
        while work:
            event, rest = work[-1]
            if event not in index:
                index[event] = lowest[event] = len(index)
                path.append(event)
            for after in rest:
                if after not in index:
                    work.append((after, iter(graph.get(after, ()))))
                    break
                if after not in component:
                    lowest[event] = min(lowest[event], index[after])
            else:
                work.pop()
                if work:
                    lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[event])
                if lowest[event] == index[event]:
                    while event not in component:
                        component[path.pop()] = index[event]
    return component
