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

from typing import TYPE_CHECKING, Final, NamedTuple

from provtel_model.attributes import PROV_RELATION, PROV_ROLE, PROV_SOURCE_ROLE
from provtel_model.dataflow import NAME, Datum, content_key, data, data_keys, file_key, name_key
from provtel_model.record import Record, record_id

from provtel_query.candidates import Candidate, Candidates, generated_at
from provtel_query.evidence import EVERYTHING, Evidence
from provtel_query.generators import Generators, Wanted
from provtel_query.lookups import Lookups

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.components import Occurrence, Reader

    _Keyed = tuple[Datum, list[tuple[Evidence, str]]]

# A member of an enumeration takes longer to look up than a name of the module, and is asked for at every use.
_SAME_FILE: Final = Evidence.SAME_FILE
_SAME_CONTENT: Final = Evidence.SAME_CONTENT
_SAME_NAME_AND_VALUE: Final = Evidence.SAME_NAME_AND_VALUE

_LINKED: Final = (Evidence.DECLARED, Evidence.SAME_OBJECT)
_OF_MEMBERS: Final = (_SAME_FILE, _SAME_CONTENT)
_INFERRED: Final = (*_OF_MEMBERS, _SAME_NAME_AND_VALUE)
_NOTHING: Final[Mapping[str, AnyValue]] = {}


class Origin(NamedTuple):
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


class Use(NamedTuple):
    """An activity that used a generated value, and how that is known."""

    record: Record
    role: str
    origin: Origin


class Flow:
    """The data flow between the activities of a store.

    Every lookup is made once and kept: one `Flow` answers one question over a store as it stands. Of many activities
    `origins` and `uses` take few lookups where `prepare_origins` and `prepare_uses` were called with all of them.
    """

    def __init__(self, reader: Reader, evidence: Collection[Evidence] = EVERYTHING) -> None:
        """Look things up in a reader, and take only these kinds of evidence."""
        self._lookups = Lookups(reader)
        self._evidence = evidence
        self._inferred = [kind for kind in _INFERRED if kind in evidence]
        self._of_members = [kind for kind in _OF_MEMBERS if kind in evidence]
        self._of_scalars = [kind for kind in self._of_members if kind is _SAME_CONTENT]
        self._generators = Generators(self._lookups)
        self._origins: dict[tuple[str, str], tuple[Origin, ...]] = {}
        self._uses: dict[tuple[str, str], dict[tuple[str, str], Use]] = {}
        self._unread: list[tuple[Record, str, tuple[Origin, ...]]] = []
        self._followed: set[str] = set()
        self._texts: dict[str, str | None] = {}
        self._shared: dict[tuple[str, str], Origin] = {}

    def origins(self, user: Record, role: str) -> tuple[Origin, ...]:
        """Return where the value that an activity used in a role came from; several where its members differ."""
        found = self._origins.get((user.id, role))
        if found is None:
            self._find_origins([(user, role)])
            found = self._origins[user.id, role]
        return found

    def prepare_origins(self, users: Iterable[Record]) -> None:
        """Find at once the origins of everything that some activities used."""
        self._find_origins([(user, role) for user in users for role in user.plain.get("used", {})])

    def uses(self, generator: Record, role: str) -> list[Use]:
        """Return who used the value that an activity generated in a role, in the order of their start."""
        if generator.id not in self._followed:
            self.prepare_uses([generator])
        self._read_uses()
        found = self._uses.get((generator.id, role))
        if not found:
            return []
        return sorted(found.values(), key=lambda use: (use.record.plain["started_at"], use.record.id, use.role))

    def prepare_uses(self, generators: Iterable[Record]) -> None:
        """Find at once who used everything that some activities generated: the origins of all who may have."""
        new = [generator for generator in generators if generator.id not in self._followed]
        every = (key for generator in new for key in self._keys_of_uses(generator))
        keys = dict.fromkeys(key for key in every if key not in self._followed)
        self._lookups.load_used(keys)
        linked = self._lookups.linked([generator.id for generator in new])
        possible = [(user, role) for user in linked for role in user.plain.get("used", {})]
        possible += [(use.record, use.role) for key in keys for use in self._lookups.used(key)]
        self._find_origins(possible)
        self._followed.update(keys, (generator.id for generator in new))

    def passed_on(self, outer: Record, role: str) -> Origin | None:
        """Return which activity inside another generated the value that the outer one passed on in a role."""
        values = outer.plain.get("generated", {})
        if role not in values:
            return None

        def is_inside(record: Record) -> bool:
            return outer.id in self._lookups.ancestors(record)

        return self._infer(outer, Datum(role, (), values[role]), is_inside)

    def generators(self, key: str) -> Sequence[Occurrence]:
        """Return where a datum was generated, by its key."""
        return self._lookups.generated(key)

    def users(self, key: str) -> Sequence[Occurrence]:
        """Return where a datum was used, by its key."""
        return self._lookups.used(key)

    def innermost(self, occurrences: Iterable[Occurrence]) -> Candidates:
        """Return the candidates among occurrences that were found in another way than by key."""
        return Candidates.of(occurrences, self._lookups.ancestors)

    def record(self, identity: str) -> Record | None:
        """Return a record by its id."""
        return self._lookups.record(identity)

    def _find_origins(self, uses: Iterable[tuple[Record, str]]) -> None:
        """Apply the rules to many uses, the strongest first, each rule to all that are still without an origin."""
        new = {(user.id, role): (user, role) for user, role in uses if (user.id, role) not in self._origins}
        linking = {user.id: user for user, _ in new.values() if "links" in user.plain}
        self._lookups.load_records(_linked_ids(linking.values()))
        open_uses: list[tuple[Record, Datum]] = []
        for user, role in new.values():
            linked = self._linked(user, role) if "links" in user.plain else None
            used = user.plain.get("used", _NOTHING)
            if linked is None and role in used:
                open_uses.append((user, Datum(role, (), used[role])))
            else:
                self._keep(user, role, linked or ())
        for evidence in self._inferred:
            open_uses = self._find_by(evidence, open_uses)
        self._find_by_members(open_uses)

    def _find_by(self, evidence: Evidence, uses: list[tuple[Record, Datum]]) -> list[tuple[Record, Datum]]:
        """Find origins by one kind of evidence; return the uses for which there are none."""
        if evidence is _SAME_FILE and not any(type(datum.value) is dict for _, datum in uses):
            return uses
        keyed = [(user, datum, self._key(evidence, user, datum)) for user, datum in uses]
        self._generators.prepare((key, user) for user, _, key in keyed if key)
        left: list[tuple[Record, Datum]] = []
        for user, datum, key in keyed:
            origin = self._by_key(evidence, key, user, datum) if key else None
            if origin:
                self._keep(user, datum.role, (origin,))
            else:
                left.append((user, datum))
        return left

    def _find_by_members(self, uses: Iterable[tuple[Record, Datum]]) -> None:
        members = [(user, whole, self._keyed_members(whole)) for user, whole in uses]
        self._generators.prepare((key, user) for user, _, some in members for _, keys in some for _, key in keys)
        for user, whole, some in members:
            self._keep(user, whole.role, tuple(self._member_origins(user, some)) if some else ())

    def _keyed_members(self, whole: Datum) -> list[_Keyed]:
        """Return the members of a datum that have keys to be found by, each with these, by how they are known."""
        if not isinstance(whole.value, list | dict):
            return []
        members = [*data({whole.role: whole.value})][1:]
        keyed = [(member, self._keys_of_member(member.value)) for member in members]
        return [(member, keys) for member, keys in keyed if keys]

    def _keys_of_member(self, value: AnyValue) -> list[tuple[Evidence, str]]:
        kinds = self._of_members if type(value) is dict else self._of_scalars
        return [(kind, key) for kind in kinds if (key := self._key_of(kind, value))]

    def _keep(self, user: Record, role: str, origins: tuple[Origin, ...]) -> None:
        self._origins[user.id, role] = origins
        if origins:
            self._unread.append((user, role, origins))

    def _read_uses(self) -> None:
        """Turn the origins that were found since the last time into uses."""
        for user, role, origins in self._unread:
            for origin in origins:
                uses = self._uses.setdefault((origin.record.id, origin.role), {})
                uses.setdefault((user.id, role), Use(user, role, origin))
        self._unread.clear()

    def _keys_of_uses(self, generator: Record) -> Iterator[str]:
        """Yield the keys that find every use of what an activity generated; a content finds what its name does too."""
        for role, value in generator.plain.get("generated", _NOTHING).items():
            whole = self._key_of(_SAME_CONTENT, value)
            if whole and not isinstance(value, list | dict):
                yield whole
            else:
                keys = [key for key, _ in data_keys(generator.plain, {role: value})]
                yield from sorted(key for key in keys if whole is None or not key.startswith(f"{NAME}:"))

    def _key(self, evidence: Evidence, user: Record, datum: Datum) -> str | None:
        if evidence is _SAME_NAME_AND_VALUE:
            return name_key(user.run, datum.role, datum.value)
        return self._key_of(evidence, datum.value)

    def _key_of(self, evidence: Evidence, value: AnyValue) -> str | None:
        if evidence is _SAME_FILE:
            return file_key(value) if type(value) is dict else None
        if type(value) is not str:
            return content_key(value)
        try:  # a value is seen at least twice: where it was used, and where it was generated
            return self._texts[value]
        except KeyError:
            return self._texts.setdefault(value, content_key(value))

    def _linked(self, user: Record, role: str) -> tuple[Origin, ...] | None:
        """Return the origins that links declare; ``None`` where none says anything of this role."""
        for relation in _LINKED if "links" in user.plain else ():
            links = list(self._by_links(user, role, relation)) if relation in self._evidence else []
            if links:
                # A declared source that this store lacks is still the source; nothing else is guessed in its place.
                return tuple(origin for origin in links if origin)
        return None

    def _by_links(self, user: Record, role: str, relation: Evidence) -> Iterator[Origin | None]:
        for link in user.plain.get("links", ()):
            says = link.get("attributes", {})
            if says.get(PROV_RELATION) == relation and says.get(PROV_ROLE) == role:
                yield self._link_origin(record_id(link["trace_id"], link["span_id"]), says, role, relation)

    def _link_origin(self, identity: str, says: Mapping[str, AnyValue], role: str, relation: Evidence) -> Origin | None:
        source, source_role = self.record(identity), says.get(PROV_SOURCE_ROLE)
        if source is None or not isinstance(source_role, str):
            return None
        return Origin(source, source_role, relation, 1, role, whole=True)

    def _member_origins(self, user: Record, members: Iterable[_Keyed]) -> Iterator[Origin]:
        linked: tuple[str | int, ...] = ()
        seen: set[tuple[str, str]] = set()
        for member, keys in members:
            if linked and member.path[: len(linked)] == linked:
                continue
            origin = self._first_by(keys, user, member)
            if origin:
                linked = member.path
                if (origin.record.id, origin.role) not in seen:
                    seen.add((origin.record.id, origin.role))
                    yield origin

    def _infer(self, user: Record, datum: Datum, allowed: Callable[[Record], bool]) -> Origin | None:
        keys = ((kind, key) for kind in self._inferred if (key := self._key(kind, user, datum)))
        return self._first_by(keys, user, datum, allowed)

    def _first_by(
        self,
        keys: Iterable[tuple[Evidence, str]],
        user: Record,
        datum: Datum,
        allowed: Callable[[Record], bool] | None = None,
    ) -> Origin | None:
        for evidence, key in keys:
            origin = self._by_key(evidence, key, user, datum, allowed)
            if origin:
                return origin
        return None

    def _by_key(
        self,
        evidence: Evidence,
        key: str,
        user: Record,
        datum: Datum,
        allowed: Callable[[Record], bool] | None = None,
    ) -> Origin | None:
        only = self._generators.only.get(key) if allowed is None else None
        if only is not None:
            is_before = only.record.plain["ended_at"] <= user.plain["started_at"] and only.record.id != user.id
            return self._origin_in_only(only, evidence, key, datum) if is_before else None
        found = self._latest_inside(key, user, allowed) if allowed else self._latest(key, user)
        return self._origin(*found, evidence, key, datum) if found else None

    def _origin_in_only(self, only: Candidate, evidence: Evidence, key: str, datum: Datum) -> Origin:
        if datum.path:
            return self._origin(only, 1, evidence, key, datum)
        found = self._shared.get((key, datum.role))
        if found is None:
            found = self._shared[key, datum.role] = self._origin(only, 1, evidence, key, datum)
        return found

    def _origin(self, candidate: Candidate, count: int, evidence: Evidence, key: str, datum: Datum) -> Origin:
        role = candidate.role(datum.role)
        whole = not datum.path
        if whole and evidence is not _SAME_NAME_AND_VALUE:
            whole = self._key_of(evidence, candidate.record.plain.get("generated", {}).get(role)) == key
        return Origin(candidate.record, role, evidence, count, datum.label, whole)

    def _latest(self, key: str, user: Record) -> tuple[Candidate, int] | None:
        wanted = Wanted(key, user, user.plain["started_at"])
        near = self._generators.near(wanted)
        own = near and near.of_run(user.run)
        return self._latest_of(own, wanted) or self._latest_of(self._generators.all(key), wanted)

    def _latest_inside(
        self, key: str, outer: Record, is_inside: Callable[[Record], bool]
    ) -> tuple[Candidate, int] | None:
        wanted = Wanted(key, outer, generated_at(outer))
        inside = self._generators.near(wanted).where(is_inside)
        return self._latest_of(inside.of_run(outer.run), wanted) or self._latest_of(inside, wanted)

    def _latest_of(self, candidates: Candidates, wanted: Wanted) -> tuple[Candidate, int] | None:
        if not candidates:
            return None
        excluded = {wanted.user.id, *(self._open_ancestors(wanted.user) if candidates.has_open else ())}
        return candidates.latest(wanted.time, excluded)

    def _open_ancestors(self, record: Record) -> Iterator[str]:
        for identity in self._lookups.ancestors(record):
            ancestor = self.record(identity)
            if ancestor and "ended_at" not in ancestor.plain:
                yield identity


def _linked_ids(users: Iterable[Record]) -> Iterator[str]:
    for user in users:
        for link in user.plain.get("links", ()):
            if PROV_RELATION in link.get("attributes", {}):
                yield record_id(link["trace_id"], link["span_id"])
