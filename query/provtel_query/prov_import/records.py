"""Activities that others told of as records."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, cast

from provtel_model import attributes as names
from provtel_model.record import State, record_id

from provtel_query.evidence import Evidence
from provtel_query.prov_import.activities import Activities, Activity
from provtel_query.prov_import.canonical import text_of
from provtel_query.prov_import.entities import Entities
from provtel_query.prov_import.statements import Instance, instances

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainAgent, PlainLink, PlainPlan, PlainRecord

DOCUMENT: Final = "document"
"""Kind of the record that keeps a document."""
_WORKFLOW: Final = "workflow"
_UNTOLD: Final = 1
"""The time of what has none: the first moment that OTLP tells from none at all."""
_AGENT_TYPES: Final = {"Person": "person", "Organization": "organization", "SoftwareAgent": "software"}


def records_of(content: dict[str, Any], wanted: Callable[[str], bool]) -> list[PlainRecord]:
    """Return a record of the document, and after it one of each activity whose URI is wanted.

    Args:
        content: The document as canonical PROV-JSON, from which the ids of all records follow.
        wanted: Says which.
    """
    text = text_of(content)
    trace_id = hashlib.sha256(text.encode()).hexdigest()[:32]
    keeper = _span_id(trace_id)
    found: list[PlainRecord] = []
    for instance in instances(content):
        found += _Reading(instance, trace_id, record_id(trace_id, keeper)).records(wanted)
    times = [plain[key] for plain in found for key in ("started_at", "ended_at", "last_seen_at") if key in plain]
    document: dict[str, Any] = {
        "trace_id": trace_id,
        "span_id": keeper,
        "name": "PROV document",
        "kind": DOCUMENT,
        "status": State.FINISHED.value,
        "started_at": min(times, default=_UNTOLD),
        "ended_at": max(times, default=_UNTOLD),
        "attributes": {names.PROV_DOCUMENT: text},
    }
    runs = {plain.get("workflow_id") for plain in found}
    if len(runs) == 1 and "workflow_id" in found[0]:
        document |= {key: found[0].get(key) for key in ("workflow_id", "workflow_name")}
    return [cast("PlainRecord", document), *found]


class _Reading:
    """Makes records of the activities of a document or bundle."""

    def __init__(self, instance: Instance, trace_id: str, document_id: str) -> None:
        self._instance = instance
        self._trace_id = trace_id
        self._document_id = document_id
        self._activities = Activities(instance)
        self._entities = Entities(instance)
        self._agents = {said.id: said for said in instance.of("agent")}

    def records(self, wanted: Callable[[str], bool]) -> Iterator[PlainRecord]:
        """Yield a record of each activity whose URI is wanted."""
        for activity in self._activities.by_uri.values():
            if wanted(activity.uri):
                yield self._record(activity)

    def _record(self, activity: Activity) -> PlainRecord:
        start, is_told = self._start(activity)
        plain: dict[str, Any] = {
            "trace_id": self._trace_id,
            "span_id": self._span_id(activity),
            "name": self._name(activity),
            "kind": self._kind(activity),
            "status": (State.FINISHED if activity.ends else State.LOST).value,
            "started_at": start,
        }
        if activity.ends:
            plain["ended_at"] = max(start, *activity.ends)
        else:
            plain["last_seen_at"] = max([start, *activity.times])
        if activity.parent:
            plain["parent_id"] = self._id(activity.parent)
        if self._kind(activity.root) == _WORKFLOW:
            plain |= {"workflow_id": self._id(activity.root), "workflow_name": self._name(activity.root)}
        for key, data in (("used", activity.used), ("generated", activity.generated)):
            if data:
                plain[key] = {role: self._entities.value(entity) for role, entity in data.items()}
        who = {"agent": self._agent(activity), "plan": self._plan(activity), "links": self._links(activity)}
        plain |= {key: value for key, value in who.items() if value}
        plain["attributes"] = self._attributes(activity, is_told=is_told)
        return cast("PlainRecord", plain)

    def _start(self, activity: Activity) -> tuple[int, bool]:
        """Return when an activity started, and whether the document says so."""
        if activity.starts:
            return min(activity.starts), True
        seen = [*activity.times, *activity.ends]
        outer = [start for ancestor in activity.ancestors() for start in ancestor.starts]
        return min(seen or outer, default=_UNTOLD), False

    def _kind(self, activity: Activity) -> str:
        is_workflow = any(_WORKFLOW in each.lower() for each in activity.types)
        return _WORKFLOW if is_workflow or id(activity) in self._activities.parents else "task"

    def _name(self, activity: Activity) -> str:
        return activity.labels[0] if activity.labels else self._instance.local(activity.uri)

    def _agent(self, activity: Activity) -> PlainAgent:
        agents = [(said.uri("prov:plan") is None, said.uri("prov:agent")) for said in activity.associations]
        known = sorted((without, agent) for without, agent in agents if agent)
        if not known:
            return {}
        uri = known[0][1]
        result: PlainAgent = {"id": uri}
        said = self._agents.get(uri)
        labels = said.texts("prov:label") if said else []
        types = [kind for each in said.texts("prov:type") if (kind := _AGENT_TYPES.get(each))] if said else []
        if labels:
            result["name"] = labels[0]
        if types:
            result["type"] = types[0]
        others = [each.uri("prov:responsible") for each in activity.delegations if each.uri("prov:delegate") == uri]
        if others and others[0]:
            result["acted_on_behalf_of"] = others[0]
        return result

    def _plan(self, activity: Activity) -> PlainPlan:
        plans = sorted(filter(None, (said.uri("prov:plan") for said in activity.associations)))
        return {"function": self._instance.local(plans[0])} if plans else {}

    def _links(self, activity: Activity) -> list[PlainLink]:
        links: list[PlainLink] = []
        linked: set[str] = set()
        for role, entity in activity.used.items():
            for source, source_role in self._activities.sources(activity, entity):
                says: dict[str, AnyValue] = {names.PROV_ROLE: role, names.PROV_SOURCE_ROLE: source_role}
                links.append(self._link(source, says))
                linked.add(source.uri)
        others = {source.uri: source for source in activity.informants if source.uri not in linked}
        return links + [self._link(source, {}) for source in others.values()]

    def _link(self, source: Activity, says: dict[str, AnyValue]) -> PlainLink:
        attributes: dict[str, AnyValue] = {names.PROV_RELATION: Evidence.DECLARED.value, **says}
        return {"trace_id": self._trace_id, "span_id": self._span_id(source), "attributes": attributes}

    def _attributes(self, activity: Activity, *, is_told: bool) -> dict[str, AnyValue]:
        data = {"used": activity.used, "generated": activity.generated}
        entities = {
            key: {role: self._entities.told(entity) for role, entity in roles.items()}
            for key, roles in data.items()
            if roles
        }
        result: dict[str, AnyValue] = {
            names.PROV_DOCUMENT_ID: self._document_id,
            names.PROV_DOCUMENT_ACTIVITY: activity.uri,
        }
        if self._instance.bundle:
            result[names.PROV_DOCUMENT_BUNDLE] = self._instance.bundle
        if entities:
            result[names.PROV_DOCUMENT_ENTITIES] = json.dumps(entities, sort_keys=True, ensure_ascii=False)
        if not is_told:
            result[names.PROV_DOCUMENT_START_ASSUMED] = True
        return result

    def _id(self, activity: Activity) -> str:
        return record_id(self._trace_id, self._span_id(activity))

    def _span_id(self, activity: Activity) -> str:
        return _span_id(f"{self._instance.bundle}\n{activity.uri}")


def _span_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
