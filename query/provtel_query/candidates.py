"""The activities that may have generated a datum, in an order that finds the latest before a use in few steps."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from provtel_model.components import Occurrence
    from provtel_model.record import Record


class Candidate(NamedTuple):
    """An activity that generated a datum, and the roles that it did so in."""

    record: Record
    roles: tuple[str, ...]

    @property
    def order(self) -> tuple[int, str]:
        """When the datum was there; ties are broken by id."""
        return generated_at(self.record), self.record.id

    def role(self, preferred: str) -> str:
        """Return the preferred role where the datum was generated in it, else the first."""
        return preferred if preferred in self.roles else self.roles[0]


class Candidates:
    """The candidates for one datum, in the order in which it was there."""

    def __init__(self, members: Iterable[Candidate]) -> None:
        """Put candidates, each of another record, in order."""
        self._members = sorted(members, key=lambda candidate: candidate.order)
        self._times = [candidate.order[0] for candidate in self._members]
        self._places = {candidate.record.id: place for place, candidate in enumerate(self._members)}
        self._by_run: dict[str, Candidates] | None = None
        self.has_open = any("ended_at" not in candidate.record.plain for candidate in self._members)
        """Whether one has not ended, as far as is known."""

    @classmethod
    def of(cls, occurrences: Iterable[Occurrence], ancestors: Callable[[Record], Iterable[str]]) -> Self:
        """Return the candidates among the occurrences of a datum, given the ids of the records around one.

        Of an activity and one inside it only the inner one is a candidate: the outer one passed the datum on.
        """
        members = _by_record(occurrences)
        if len(members) <= 1:
            return cls(members)
        outer: set[str] = set()
        for candidate in members:
            for identity in ancestors(candidate.record):
                if identity in outer:
                    break
                outer.add(identity)
        return cls(candidate for candidate in members if candidate.record.id not in outer)

    def latest(self, time: int, excluded: Collection[str]) -> tuple[Candidate, int] | None:
        """Return the latest that was there at a time, and how many were; records of these ids do not count."""
        end = bisect_right(self._times, time)
        left_out = {place for identity in excluded if (place := self._places.get(identity, end)) < end}
        for place in range(end - 1, -1, -1):
            if place not in left_out:
                return self._members[place], end - len(left_out)
        return None

    def of_run(self, run: str) -> Candidates:
        """Return those of one run."""
        if len(self._members) == 1:
            return self if self._members[0].record.run == run else NONE
        if self._by_run is None:
            runs: dict[str, list[Candidate]] = {}
            for candidate in self._members:
                runs.setdefault(candidate.record.run, []).append(candidate)
            self._by_run = {name: Candidates(members) for name, members in runs.items()}
        return self._by_run.get(run, NONE)

    def where(self, condition: Callable[[Record], bool]) -> Candidates:
        """Return those whose record meets a condition."""
        return Candidates(candidate for candidate in self._members if condition(candidate.record))

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self._members)


def generated_at(record: Record) -> int:
    """Return when what an activity generated was there: its end, or its start where no end is known."""
    return record.plain.get("ended_at", record.plain["started_at"])


def _by_record(occurrences: Iterable[Occurrence]) -> list[Candidate]:
    records: dict[str, Record] = {}
    roles: dict[str, list[str]] = {}
    for occurrence in occurrences:
        records.setdefault(occurrence.record.id, occurrence.record)
        roles.setdefault(occurrence.record.id, []).append(occurrence.role)
    return [Candidate(record, tuple(roles[identity])) for identity, record in records.items()]


NONE: Final = Candidates(())
"""No candidates."""
