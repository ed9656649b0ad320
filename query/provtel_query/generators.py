"""Who may have generated a datum, those of the user's own run first: the others may be many, and mostly need no look.

Whether an activity of a run is a candidate depends on other runs too: one inside it, in a run of its own, may have
generated the datum, which the outer one then passed on. Where others are left unread, what ran inside is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from provtel_model.components import Occurrence
from provtel_model.dataflow import data_keys
from provtel_model.record import run_of

from provtel_query.candidates import NONE, Candidate, Candidates, generated_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from provtel_model.record import Record

    from provtel_query.lookups import Lookups


class Wanted(NamedTuple):
    """A datum whose generators are asked for.

    Args:
        key: Its key.
        user: The activity that used it, or passed it on.
        time: When it was there.
    """

    key: str
    user: Record
    time: int


class _Near(NamedTuple):
    """What is known of a datum and a run: the candidates of that run until a time, and all that ran inside these."""

    time: int
    candidates: Candidates


class Generators:
    """The candidates for data, each looked up once."""

    def __init__(self, lookups: Lookups) -> None:
        """Look things up as they are asked for; `prepare` looks up what will be."""
        self._lookups = lookups
        self._all: dict[str, Candidates] = {}
        self._near: dict[tuple[str, str], _Near] = {}
        self.only: dict[str, Candidate] = {}
        """The candidate for a datum that has just one, which has ended."""

    def all(self, key: str) -> Candidates:
        """Return the candidates of all runs for a datum."""
        if key not in self._all:
            self._all[key] = Candidates.of(self._lookups.generated(key), self._lookups.ancestors)
        return self._all[key]

    def near(self, wanted: Wanted) -> Candidates:
        """Return candidates among which are those of the user's run and all that ran inside these.

        Of those that had not generated the datum at the wanted time some may be no candidates after all.
        """
        key, user, time = wanted
        if key not in self._all:
            known = self._near.get((key, user.run))
            if known is None or known.time < time:
                self._look_up([(key, user)], time)
                known = self._near.get((key, user.run))
            if known is not None and known.time >= time:
                return known.candidates
        return self.all(key)

    def prepare(self, uses: Iterable[tuple[str, Record]]) -> None:
        """Look up at once what will be asked for of data, by their keys, each with an activity that used it."""
        only, known = self.only, self._all
        new = [use for use in uses if use[0] not in only and use[0] not in known]
        if self._near:
            new = [(key, user) for key, user in new if not self._is_near(key, user)]
        if not new:
            return
        self._look_up(new)
        if self._near:
            left = dict.fromkeys(key for key, user in new if not self._is_decided(key, user))
            self._lookups.load_generated(left)
            self._take_all(left)

    def _is_near(self, key: str, user: Record) -> bool:
        known = self._near.get((key, user.run))
        return known is not None and user.plain["started_at"] <= known.time

    def _is_decided(self, key: str, user: Record) -> bool:
        """Say whether no more is to be looked up: all is known, or the user's own run has a candidate."""
        known = self._near.get((key, user.run))
        own = None if known is None else known.candidates.of_run(user.run)
        return own is None or own.latest(user.plain["started_at"], {user.id}) is not None

    def _look_up(self, uses: Sequence[tuple[str, Record]], time: int | None = None) -> None:
        """Look up the generators of data; those that had generated them when their users began, or at a time."""
        keys = dict.fromkeys(key for key, _ in uses)
        some = self._lookups.load_generated_in({run_of(user.plain) for _, user in uses}, keys)
        self._take_all(key for key in keys if key not in some)
        if some:
            every = [
                Wanted(key, user, user.plain["started_at"] if time is None else time)
                for key, user in uses
                if key in some
            ]
            self._take_near(every, some)

    def _take_all(self, keys: Iterable[str]) -> None:
        """Take what was looked up of some data as all there is."""
        several: list[Record] = []
        for key in keys:
            found = self._lookups.generated(key)
            if len(found) > 1:
                several += [occurrence.record for occurrence in found]
            elif not found:
                self._all[key] = NONE
            elif "ended_at" in found[0].record.plain:  # as it mostly is; what has not ended is judged apart
                self.only[key] = Candidate(found[0].record, (found[0].role,))
        self._lookups.load_ancestors(several)

    def _take_near(self, every: Sequence[Wanted], some: Mapping[str, Sequence[Occurrence]]) -> None:
        """Take what was looked up of some data in the runs of their users, and look up what ran inside those.

        Args:
            every: What is wanted.
            some: Who generated each datum in the runs of all users, others left out.
        """
        times: dict[tuple[str, str], int] = {}
        for key, user, time in every:
            times[key, user.run] = max(time, times.get((key, user.run), time))
        able = {
            occurrence.record.id: occurrence.record
            for key, found in some.items()
            for occurrence in found
            if generated_at(occurrence.record) <= times.get((key, occurrence.record.run), -1)
        }
        inside = self._inside(able.values(), {user.run for _, user, _ in every})
        found = {key: [*occurrences, *inside.get(key, ())] for key, occurrences in some.items()}
        self._lookups.load_ancestors(one.record for each in found.values() if len(each) > 1 for one in each)
        candidates = {key: Candidates.of(each, self._lookups.ancestors) for key, each in found.items()}
        for (key, run), time in times.items():
            self._near[key, run] = _Near(time, candidates[key])

    def _inside(self, records: Iterable[Record], runs: set[str]) -> dict[str, list[Occurrence]]:
        """Return what was generated inside some activities, in other runs than these, by its keys."""
        found: dict[str, list[Occurrence]] = {}
        for record in self._lookups.inside(records):
            if record.run not in runs:
                for key, role in sorted(data_keys(record.plain, record.plain.get("generated", {}))):
                    found.setdefault(key, []).append(Occurrence(record, role))
        return found
