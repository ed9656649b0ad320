"""What the statements of a document say together of each activity."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from provtel_query.prov_import.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_query.prov_import.statements import Instance

_ACTIVITY: Final = "prov:activity"
_ENTITY: Final = "prov:entity"
_TIME: Final = "prov:time"
_ACTIVITIES_IN: Final = {
    "used": (_ACTIVITY,),
    "wasGeneratedBy": (_ACTIVITY,),
    "wasInvalidatedBy": (_ACTIVITY,),
    "wasStartedBy": (_ACTIVITY, "prov:starter"),
    "wasEndedBy": (_ACTIVITY, "prov:ender"),
    "wasAssociatedWith": (_ACTIVITY,),
    "wasInformedBy": ("prov:informed", "prov:informant"),
    "actedOnBehalfOf": (_ACTIVITY,),
    "wasDerivedFrom": (_ACTIVITY,),
}
"""Arguments of relations that name activities, which need not be declared."""
_BACKWARDS: Final = {
    "wasDerivedFrom": ("prov:generatedEntity", "prov:usedEntity"),
    "specializationOf": ("prov:specificEntity", "prov:generalEntity"),
}
_DEEPEST: Final = 100


@dataclass(slots=True)
class Activity:
    """An activity.

    Args:
        uri: Its URI.
        labels: What people call it.
        types: What kind of activity it is.
        starts: Times at which it started.
        ends: Times at which it ended.
        times: Times at which it used or generated something.
        parent: The activity that started it.
        used: Entities by role.
        generated: Entities by role.
        informants: Activities that informed it.
        associations: Who was responsible, under which plan.
        delegations: On whose behalf they acted.
    """

    uri: str
    labels: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    parent: Activity | None = None
    used: dict[str, str] = field(default_factory=dict)
    generated: dict[str, str] = field(default_factory=dict)
    informants: list[Activity] = field(default_factory=list)
    associations: list[Statement] = field(default_factory=list)
    delegations: list[Statement] = field(default_factory=list)

    def ancestors(self) -> Iterator[Activity]:
        """Yield the activity that started it, the one that started that, and so on."""
        outer = self.parent
        while outer is not None:
            yield outer
            outer = outer.parent

    @property
    def root(self) -> Activity:
        """The outermost of its ancestors; itself where it has none."""
        return next(reversed([self, *self.ancestors()]))


class Activities:
    """The activities of a document or bundle, and how data went between them."""

    def __init__(self, instance: Instance) -> None:
        """Read the statements of a document or bundle."""
        self._instance = instance
        self.by_uri: dict[str, Activity] = {}
        self._before: dict[str, list[str]] = defaultdict(list)
        self._generators: dict[str, list[tuple[Activity, str]]] = defaultdict(list)
        self._find()
        self._read_times()
        self._read_data()
        self._read_others()
        self.parents = {id(activity.parent) for activity in self.by_uri.values() if activity.parent}

    def sources(self, user: Activity, entity: str) -> list[tuple[Activity, str]]:
        """Return which activities generated an entity, or what it was derived from, and in which roles.

        Of an activity and one that ran inside it, the inner one generated it.
        """
        level, seen = [entity], {entity}
        for _ in range(_DEEPEST):
            found = [each for name in level for each in self._generators.get(name, ()) if each[0] is not user]
            if found or not level:
                break
            level = [name for inner in level for name in self._before.get(inner, ()) if name not in seen]
            level = list(dict.fromkeys(level))
            seen.update(level)
        outer = {id(ancestor) for generator, _ in found for ancestor in generator.ancestors()}
        return [each for each in found if id(each[0]) not in outer]

    def _find(self) -> None:
        for said in self._instance.of("activity"):
            activity = self.by_uri.setdefault(said.id, Activity(said.id))
            activity.labels += said.texts("prov:label")
            activity.types += said.texts("prov:type")
            activity.starts += _known(said.time("prov:startTime"))
            activity.ends += _known(said.time("prov:endTime"))
        others = {said.id for kind in ("agent", "entity") for said in self._instance.of(kind)}
        for kind, arguments in _ACTIVITIES_IN.items():
            for said in self._instance.of(kind):
                for uri in filter(None, map(said.uri, arguments)):
                    if uri not in others:
                        self.by_uri.setdefault(uri, Activity(uri))

    def _read_times(self) -> None:
        for said in self._instance.of("wasStartedBy"):
            activity, starter = self._named(said, _ACTIVITY), self._named(said, "prov:starter")
            if activity is None:
                continue
            activity.starts += _known(said.time(_TIME))
            if starter and activity.parent is None and activity not in (starter, *starter.ancestors()):
                activity.parent = starter
        for said in self._instance.of("wasEndedBy"):
            activity = self._named(said, _ACTIVITY)
            if activity is not None:
                activity.ends += _known(said.time(_TIME))

    def _read_data(self) -> None:
        for kind, (after, before) in _BACKWARDS.items():
            for said in self._instance.of(kind):
                later, earlier = said.uri(after), said.uri(before)
                if later and earlier:
                    self._before[later].append(earlier)
        for said in self._instance.of("used"):
            activity, entity = self._named(said, _ACTIVITY), said.uri(_ENTITY)
            if activity and entity:
                activity.times += _known(said.time(_TIME))
                _put(activity.used, self._role(said, entity), entity)
        for said in self._instance.of("wasGeneratedBy"):
            activity, entity = self._named(said, _ACTIVITY), said.uri(_ENTITY)
            if activity and entity:
                activity.times += _known(said.time(_TIME))
                role = _put(activity.generated, self._role(said, entity), entity)
                self._generators[entity].append((activity, role))

    def _read_others(self) -> None:
        for said in self._instance.of("wasInformedBy"):
            informed, informant = self._named(said, "prov:informed"), self._named(said, "prov:informant")
            if informed and informant:
                informed.informants.append(informant)
        for said in self._instance.of("wasAssociatedWith"):
            activity = self._named(said, _ACTIVITY)
            if activity is not None:
                activity.associations.append(said)
        general: list[Statement] = []
        for said in self._instance.of("actedOnBehalfOf"):
            activity = self._named(said, _ACTIVITY)
            (activity.delegations if activity else general).append(said)
        for activity in self.by_uri.values():
            activity.delegations += general

    def _named(self, said: Statement, argument: str) -> Activity | None:
        return self.by_uri.get(said.uri(argument) or "")

    def _role(self, said: Statement, entity: str) -> str:
        roles = said.texts("prov:role")
        return roles[0] if roles else self._instance.local(entity)


def _known(time: int | None) -> list[int]:
    return [] if time is None else [time]


def _put(data: dict[str, str], role: str, entity: str) -> str:
    """Add an entity under a role that no other has; return that role."""
    free, number = role, 1
    while data.get(free, entity) != entity:
        number += 1
        free = f"{role} {number}"
    data[free] = entity
    return free
