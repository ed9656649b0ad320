"""Constraints 22 to 29: what must be the same is made the same, or is found to be different."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel_query.constraints.statements import OBJECTS, Kind, Statement, Term, Unknown
from provtel_query.constraints.verdict import MENTION, finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provtel_query.constraints.verdict import Finding

_UNIQUE: Final = {
    Kind.GENERATION: (24, (0, 1), "one generation of an entity by an activity"),
    Kind.INVALIDATION: (25, (0, 1), "one invalidation of an entity by an activity"),
    Kind.START: (26, (0, 2), "one start of an activity by its starter"),
    Kind.END: (27, (0, 2), "one end of an activity by its ender"),
}
"""What there is one of: the constraint, the arguments that name it, and how people call it."""
_KEYLESS: Final = frozenset({Kind.SPECIALIZATION, Kind.ALTERNATE, Kind.MENTION, Kind.MEMBERSHIP})


class Terms:
    """Which terms are the same."""

    def __init__(self) -> None:
        self._same: dict[Term, Term] = {}

    def find(self, term: Term) -> Term:
        """Return what stands for a term and all that are the same: a constant where one of them is one."""
        root = term
        while root in self._same:
            root = self._same[root]
        while term != root:
            self._same[term], term = root, self._same[term]
        return root

    def unify_all(self, pairs: Iterable[tuple[Term, Term]]) -> bool:
        """Make the terms of each pair the same; return whether all can be."""
        return all([self.unify(one, other) for one, other in pairs])  # noqa: C419  # each, also after a failure

    def unify(self, one: Term, other: Term) -> bool:
        """Make two terms the same; return whether they can be."""
        one, other = self.find(one), self.find(other)
        if one != other and isinstance(one, Unknown):
            self._same[one] = other
        elif one != other and isinstance(other, Unknown):
            self._same[other] = one
        return self.find(one) == self.find(other)


class Unification:
    """The statements of one instance, merged where constraints say that they are one.

    Args:
        statements: Asserted and inferred ones.
        bundle: Where they are, for findings.
    """

    def __init__(self, statements: Iterable[Statement], bundle: str) -> None:
        self.terms: Final = Terms()
        self.statements = list(statements)
        self.findings: list[Finding] = []
        self._bundle = bundle
        self._reported: set[tuple[object, ...]] = set()
        while self._merge() | self._identify():
            pass
        self._times()
        self._mentions()

    def of(self, *kinds: Kind) -> Iterator[Statement]:
        """Yield the statements of some kinds."""
        return (statement for statement in self.statements if statement.kind in kinds)

    def argument(self, statement: Statement, place: int) -> Term:
        """Return what stands for an argument."""
        return self.terms.find(statement.arguments[place])

    def _merge(self) -> bool:
        """Merge statements of one kind and identifier (22, 23); say whether there were any."""
        kept: dict[tuple[Kind, Term], Statement] = {}
        result: list[Statement] = []
        for statement in self.statements:
            key = statement.kind, self.terms.find(statement.id)
            standing = statement if statement.kind in _KEYLESS else kept.setdefault(key, statement)
            if standing is statement:
                result.append(statement)
                continue
            pairs = zip(standing.arguments, statement.arguments, strict=True)
            if not self.terms.unify_all(pairs):
                rule = 22 if statement.kind in OBJECTS else 23
                reason = f"{key[1]} is the identifier of two statements {statement.kind} whose arguments differ"
                self._report(rule, reason, standing, statement)
            standing.records = list({id(record): record for record in (*standing.records, *statement.records)}.values())
            standing.types |= statement.types
        merged = len(result) < len(self.statements)
        self.statements = result
        return merged

    def _identify(self) -> bool:
        """Make the identifiers of what there is one of the same (24 to 27); say whether any were different before."""
        found: dict[tuple[Kind, Term, Term], Statement] = {}
        changed = False
        for statement in self.of(*_UNIQUE):
            rule, places, what = _UNIQUE[statement.kind]
            first, second = (self.argument(statement, place) for place in places)
            standing = found.setdefault((statement.kind, first, second), statement)
            if self.terms.find(standing.id) == self.terms.find(statement.id):
                continue
            if self.terms.unify(standing.id, statement.id):
                changed = True
            else:
                reason = f"there is {what}, and {standing.id} and {statement.id} are two"
                self._report(rule, reason, standing, statement)
        return changed

    def _times(self) -> None:
        """Make the times of an activity's starts and ends its own (28, 29)."""
        activities = {self.terms.find(statement.id): statement for statement in self.of(Kind.ACTIVITY)}
        for kind, place, rule, word in ((Kind.START, 0, 28, "start"), (Kind.END, 1, 29, "end")):
            for statement in self.of(kind):
                activity = activities.get(self.argument(statement, 0))
                if activity and not self.terms.unify(activity.arguments[place], statement.arguments[3]):
                    reason = f"the activity {activity.id} has two {word} times"
                    self._report(rule, reason, activity, statement)

    def _mentions(self) -> None:
        """Let an entity mention one other in one bundle."""
        found: dict[Term, Statement] = {}
        for statement in self.of(Kind.MENTION):
            specific = self.argument(statement, 0)
            standing = found.setdefault(specific, statement)
            if not self.terms.unify_all(zip(standing.arguments[1:], statement.arguments[1:], strict=True)):
                self._report(MENTION, f"{specific} is a mention of two entities or bundles", standing, statement)

    def _report(self, rule: int | str, reason: str, *statements: Statement) -> None:
        key = (rule, *sorted(map(id, statements)))
        if key not in self._reported:
            self._reported.add(key)
            self.findings.append(finding(rule, reason, statements, self._bundle))
