"""What the indexes can say about a filter: which posting lists, ids and times its matches lie in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from provtel_model.filters import comparable

from provtel_exporters.lmdb.layout import EVERYTHING, TERMS, term_key

_ALL_TIME: Final = (0, 2**64 - 1)
_START: Final = "started_at"


@dataclass(slots=True)
class Plan:
    """Where the matches of a filter are; every match lies there, and what lies there need not match.

    Args:
        lists: Each the keys of posting lists of which one holds the match.
        ids: Ranges of ids, first and last, of which one holds the match; ``None`` where nothing is known.
        first: The earliest start, in nanoseconds.
        last: The latest.
        exact: Whether whatever lies in all of `lists`, `ids` and the times does match.
    """

    lists: list[list[bytes]] = field(default_factory=lambda: [[EVERYTHING]])
    ids: list[tuple[str, str]] | None = None
    first: int = _ALL_TIME[0]
    last: int = _ALL_TIME[1]
    exact: bool = True

    @classmethod
    def of(cls, where: Mapping[str, Any]) -> Self:
        """Return the plan for a filter that `provtel_model.filters.Query` has accepted."""
        plan = cls()
        for name, operator, operand in _conditions(where):
            plan.exact &= plan._narrow(name, operator, operand)
        return plan

    @property
    def has_bounds(self) -> bool:
        """Say whether the times are bounded."""
        return (self.first, self.last) != _ALL_TIME

    def begin_at(self, moment: int, direction: int) -> None:
        """Leave out what comes before a moment, in a direction."""
        if direction > 0:
            self.first = max(self.first, moment)
        else:
            self.last = min(self.last, moment)

    def _narrow(self, name: str, operator: str, operand: Any) -> bool:
        """Take a condition into account; return whether nothing of it remains to be checked."""
        if name in TERMS:
            return self._narrow_to_terms(name, operator, operand)
        if name == _START:
            return self._narrow_times(operator, operand)
        if name == "workflow_id":
            self._narrow_to_terms("run", operator, operand)
        elif name in {"id", "trace_id"}:
            self._narrow_ids(name, operator, operand)
        return False

    def _narrow_to_terms(self, name: str, operator: str, operand: Any) -> bool:
        texts = [operand] if operator == "$eq" else operand if operator == "$in" else None
        if texts is None or not all(type(text) is str and _is_storable(text) for text in texts):
            return False
        self.lists.append(list({term_key(name, text) for text in texts}))
        return True

    def _narrow_times(self, operator: str, operand: Any) -> bool:
        if operator not in _TIME_BOUNDS:
            return False
        moment = comparable(_START, operand)
        if type(moment) is not int:
            return False
        after, before = _TIME_BOUNDS[operator]
        if after is not None:
            self.first = max(self.first, moment + after)
        if before is not None:
            self.last = min(self.last, moment + before)
        return True

    def _narrow_ids(self, name: str, operator: str, operand: Any) -> None:
        texts = operand if operator == "$in" else [operand]
        if not all(isinstance(text, str) for text in texts):
            return
        end = "" if name == "id" else _AFTER_EVERY_ID  # ids begin with the trace's
        if operator in {"$eq", "$in"}:
            self._intersect([(text, text + end) for text in texts])
        elif operator in {"$gt", "$gte"}:
            self._intersect([(operand, _AFTER_EVERY_ID)])
        elif operator in {"$lt", "$lte"}:
            self._intersect([("", operand + end)])

    def _intersect(self, ranges: list[tuple[str, str]]) -> None:
        known = self.ids if self.ids is not None else [("", _AFTER_EVERY_ID)]
        both = [(max(low, other), min(high, end)) for low, high in known for other, end in ranges]
        self.ids = [(low, high) for low, high in both if low <= high]


_AFTER_EVERY_ID: Final = "g"

_TIME_BOUNDS: Final[Mapping[str, tuple[int | None, int | None]]] = {
    "$eq": (0, 0),
    "$gte": (0, None),
    "$gt": (1, None),
    "$lte": (None, 0),
    "$lt": (None, -1),
}


def _conditions(where: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield field, operator and operand of all conditions that a match must meet."""
    for name, condition in where.items():
        if name == "$and":
            for branch in condition:
                yield from _conditions(branch)
        elif isinstance(condition, Mapping) and any(str(key).startswith("$") for key in condition):
            for operator, operand in condition.items():
                yield name, operator, operand
        else:
            yield name, "$eq", condition


def _is_storable(text: str) -> bool:
    """Say whether a text can be in a record, which holds no surrogates."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
