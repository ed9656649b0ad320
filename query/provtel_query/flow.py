"""Where used data came from: the rules by which a use is linked to a generation, all of them and only here.

For each value that an activity used, the strongest evidence decides:

1. *declared*: a span link says so.
2. *same object*: a span link says that it was the same object in one process.
3. *same file*: generated under the same path with the same content.
4. *same content*: generated with the same full hash (`provtel_model.dataflow.content_key` says where that counts).
5. *same name and value*: an equal value, generated in the same role in the same run.

Only where the value itself does not link are its members tried (to depth 2), by 3 and 4. For 3 to 5 further:

- An activity never links to itself, nor to one that ended after it began.
- Candidates of its own run come first.
- Of an activity and one that ran inside it, the inner one generated the value; the outer one passed it on.
- Of what remains the latest is taken, and their number is told.

Downstream is upstream read backwards: an activity used a generated value where these rules lead back to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provtel_model.attributes import PROV_RELATION, PROV_ROLE, PROV_SOURCE_ROLE
from provtel_model.dataflow import Datum, content_key, data, data_keys, file_key, name_key
from provtel_model.record import Record, record_id

from provtel_query.annotations import KIND as ANNOTATION
from provtel_query.candidates import Candidate, Candidates, generated_at
from provtel_query.evidence import EVERYTHING, Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.components import Occurrence, Reader

_LINKED: Final = (Evidence.DECLARED, Evidence.SAME_OBJECT)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a used datum was generated.

    Args:
        record: The activity that generated it.
        role: The role that it was generated in.
        evidence: How this is known.
        candidates: How many activities may have generated it by the same evidence, this one included.
        label: The used datum: its role, with the path of the member where it is one.
        whole: The whole used value is the whole generated value; neither is a member of the other.
    """

    record: Record
    role: str
    evidence: Evidence
    candidates: int
    label: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Use:
    """An activity that used a generated value, and how that is known."""

    record: Record
    role: str
    origin: Origin


class Flow:
    """The data flow between the activities of a store.

    Every lookup is made once and kept: one `Flow` answers one question over a store as it stands.
    """

    def __init__(self, reader: Reader, evidence: Collection[Evidence] = EVERYTHING) -> None:
        """Look things up in a reader, and take only these kinds of evidence."""
        self._reader = reader
        self._evidence = evidence
        self._records: dict[str, Record | None] = {}
        self._candidates: dict[str, Candidates] = {}
        self._users: dict[str, Sequence[Occurrence]] = {}
        self._origins: dict[tuple[str, str], tuple[Origin, ...]] = {}

    def origins(self, user: Record, role: str) -> tuple[Origin, ...]:
        """Return where the value that an activity used in a role came from; several where its members differ."""
        place = (user.id, role)
        if place not in self._origins:
            self._origins[place] = tuple(self._find_origins(user, role))
        return self._origins[place]

    def uses(self, generator: Record, role: str) -> list[Use]:
        """Return who used the value that an activity generated in a role, in the order of their start."""
        found: dict[tuple[str, str], Use] = {}
        for user, used_role in self._possible_uses(generator, role):
            for origin in self.origins(user, used_role):
                if origin.record.id == generator.id and origin.role == role:
                    found.setdefault((user.id, used_role), Use(user, used_role, origin))
        return sorted(found.values(), key=lambda use: (use.record.plain["started_at"], use.record.id, use.role))

    def passed_on(self, outer: Record, role: str) -> Origin | None:
        """Return which activity inside another generated the value that the outer one passed on in a role."""
        values = outer.plain.get("generated", {})
        if role not in values:
            return None
        return self._infer(outer, Datum(role, (), values[role]), lambda record: outer.id in self._ancestors(record))

    def candidates(self, key: str) -> Candidates:
        """Return the activities that generated a datum, by its key."""
        if key not in self._candidates:
            self._candidates[key] = Candidates.of(flowing(self._reader.generated([key])[key]), self._ancestors)
        return self._candidates[key]

    def users(self, key: str) -> Sequence[Occurrence]:
        """Return where a datum was used, by its key."""
        if key not in self._users:
            self._users[key] = flowing(self._reader.used([key])[key])
        return self._users[key]

    def innermost(self, occurrences: Iterable[Occurrence]) -> Candidates:
        """Return the candidates among occurrences that were found in another way than by key."""
        return Candidates.of(occurrences, self._ancestors)

    def record(self, identity: str) -> Record | None:
        """Return a record by its id."""
        if identity not in self._records:
            self._records[identity] = self._reader.get(identity)
        return self._records[identity]

    def _find_origins(self, user: Record, role: str) -> Iterator[Origin]:
        values = user.plain.get("used", {})
        for relation in _LINKED if "links" in user.plain else ():
            links = list(self._linked(user, role, relation)) if relation in self._evidence else []
            if links:
                # A declared source that this store lacks is still the source; nothing else is guessed in its place.
                yield from (origin for origin in links if origin)
                return
        if role not in values:
            return
        whole, *members = data({role: values[role]})
        origin = self._infer(user, whole)
        if origin:
            yield origin
        else:
            yield from self._member_origins(user, members)

    def _linked(self, user: Record, role: str, relation: Evidence) -> Iterator[Origin | None]:
        for link in user.plain.get("links", ()):
            says = link.get("attributes", {})
            if says.get(PROV_RELATION) == relation and says.get(PROV_ROLE) == role:
                yield self._link_origin(record_id(link["trace_id"], link["span_id"]), says, role, relation)

    def _link_origin(self, identity: str, says: Mapping[str, AnyValue], role: str, relation: Evidence) -> Origin | None:
        source, source_role = self.record(identity), says.get(PROV_SOURCE_ROLE)
        if source is None or not isinstance(source_role, str):
            return None
        return Origin(source, source_role, relation, 1, role, whole=True)

    def _member_origins(self, user: Record, members: Iterable[Datum]) -> Iterator[Origin]:
        linked: list[tuple[str | int, ...]] = []
        seen: set[tuple[str, str]] = set()
        for member in members:
            if any(member.path[: len(path)] == path for path in linked[-1:]):
                continue
            origin = self._infer(user, member)
            if origin:
                linked.append(member.path)
                if (origin.record.id, origin.role) not in seen:
                    seen.add((origin.record.id, origin.role))
                    yield origin

    def _infer(self, user: Record, datum: Datum, allowed: Callable[[Record], bool] | None = None) -> Origin | None:
        for evidence, key in _keys(user, datum):
            if evidence in self._evidence:
                candidates = self.candidates(key)
                found = self._latest(user, candidates.where(allowed) if allowed else candidates, inside=bool(allowed))
                if found:
                    return _origin(*found, evidence, key, datum)
        return None

    def _latest(self, user: Record, candidates: Candidates, *, inside: bool) -> tuple[Candidate, int] | None:
        if not candidates:
            return None
        time = generated_at(user) if inside else user.plain["started_at"]
        excluded = {user.id, *(self._open_ancestors(user) if candidates.has_open else ())}
        return candidates.of_run(user.run).latest(time, excluded) or candidates.latest(time, excluded)

    def _open_ancestors(self, record: Record) -> Iterator[str]:
        for identity in self._ancestors(record):
            ancestor = self.record(identity)
            if ancestor and "ended_at" not in ancestor.plain:
                yield identity

    def _ancestors(self, record: Record) -> Iterator[str]:
        seen = {record.id}
        parent: Record | None = record
        while parent and parent.parent_id and parent.parent_id not in seen:
            yield parent.parent_id
            seen.add(parent.parent_id)
            parent = self.record(parent.parent_id)

    def _possible_uses(self, generator: Record, role: str) -> Iterator[tuple[Record, str]]:
        for user in self._reader.linked(generator.id):
            if user.kind == ANNOTATION:
                continue
            yield from ((user, used_role) for used_role in user.plain.get("used", {}))
        values = generator.plain.get("generated", {})
        if role not in values:
            return
        there = generated_at(generator)
        for key, _ in data_keys(generator.plain, {role: values[role]}):
            for occurrence in self.users(key):
                if occurrence.record.plain["started_at"] >= there:
                    yield occurrence.record, occurrence.role


def flowing(occurrences: Sequence[Occurrence]) -> Sequence[Occurrence]:
    """Return occurrences without those in annotations, through which no data flow."""
    return [occurrence for occurrence in occurrences if occurrence.record.kind != ANNOTATION]


def _keys(user: Record, datum: Datum) -> Iterator[tuple[Evidence, str]]:
    keys = {Evidence.SAME_FILE: file_key(datum.value), Evidence.SAME_CONTENT: content_key(datum.value)}
    yield from ((evidence, key) for evidence, key in keys.items() if key)
    if not datum.path:
        yield Evidence.SAME_NAME_AND_VALUE, name_key(user.run, datum.role, datum.value)


def _origin(candidate: Candidate, count: int, evidence: Evidence, key: str, datum: Datum) -> Origin:
    role = candidate.role(datum.role)
    generated = candidate.record.plain.get("generated", {}).get(role)
    same = {Evidence.SAME_FILE: file_key, Evidence.SAME_CONTENT: content_key}.get(evidence)
    whole = not datum.path and (same is None or same(generated) == key)
    return Origin(candidate.record, role, evidence, count, datum.label, whole)
