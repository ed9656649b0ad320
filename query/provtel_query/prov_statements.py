"""Records as statements of W3C PROV, whatever they are then written as.

Every datum has two nodes: an *occurrence* (``occ:``), which this activity generated here, and the *content*
(``content:``) that it is a specialization of, where its hash is worth something. An activity used the occurrence that
the lineage says it used; where none is known, one of its own. That an activity ran inside another is ``wasStartedBy``
and our own ``provtel:part_of``, because PROV has no word for it.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from provtel_model import attributes as names
from provtel_model.anyvalue import TYPE_KEY
from provtel_model.dataflow import CONTENT, content_key
from provtel_model.garbage import without_collector
from provtel_model.hashing import SHA256_PREFIX, canonical_bytes
from provtel_model.record import instant, record_id

from provtel_query.annotations import KIND as ANNOTATION
from provtel_query.annotations import Annotation
from provtel_query.candidates import generated_at
from provtel_query.evidence import Evidence
from provtel_query.friendly import as_json
from provtel_query.prov_import.own import carried

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainPlan, Record

    from provtel_query.flow import Flow, Origin

NAMESPACES: Final = {
    prefix: f"urn:provtel:{name}:"
    for prefix, name in {
        "provtel": "ns",
        "run": "activity",
        "occ": "occurrence",
        "content": "content",
        "plan": "plan",
        "agent": "agent",
        "rel": "relation",
    }.items()
}

_Attributes: TypeAlias = list[tuple[str, Any]]

_AT_ONCE: Final = 500
_ACTIVITY_OF: Final = "prov:activity"
_ENTITY: Final = "prov:entity"
_START: Final = "prov:startTime"
_END: Final = "prov:endTime"

_KINDS: Final = frozenset({"task", "workflow", "loop", "iteration", "campaign", "annotation"})
_AGENT_TYPES: Final = {name.lower(): f"prov:{name}" for name in ("Person", "Organization", "SoftwareAgent")}
_OF_PROCESSES: Final = (
    names.PROCESS_OWNER,
    names.PROCESS_RUNTIME_NAME,
    names.PROCESS_RUNTIME_VERSION,
    names.SERVICE_NAME,
    names.VCS_REF_HEAD_REVISION,
    names.VCS_REF_HEAD_NAME,
    names.VCS_REPOSITORY_URL_FULL,
    names.PROVTEL_VCS_MODIFIED,
)
_MOST_PROCESSES: Final = 1000
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]")


class Name(str):
    """A qualified name as an attribute's value, told apart from a text."""

    __slots__ = ()


class Sink(Protocol):
    """What takes statements."""

    def take(
        self, kind: str, identifier: str | None, arguments: Sequence[tuple[str, Any]], attributes: _Attributes
    ) -> None:
        """Take a statement.

        Args:
            kind: Its name in PROV-N.
            identifier: Its qualified name; ``None`` for a relation that has none.
            arguments: Its formal arguments by their names in PROV, those that are known: qualified names and times.
            attributes: Everything else that it says.
        """


def state(
    records: Iterable[Record], new_flow: Callable[[], Flow], known: set[str], parents: Container[str], sink: Sink
) -> None:
    """Give the statements of records to a sink.

    Each record is one activity, each value that it used one ``used`` and each that it generated one
    ``wasGeneratedBy``. An activity that has not ended has no end.

    Args:
        records: The activities.
        new_flow: Returns what says where what they used came from, also beyond these records; asked once for some.
        known: Ids of the records that are activities in the same document; others that are referred to are added.
        parents: Ids of the records inside which others ran.
        sink: Takes the statements.
    """
    writer = _Writer(sink, known)
    rest = iter(records)
    while some := list(islice(rest, _AT_ONCE)):
        writer.flow = new_flow()
        with without_collector():
            writer.state(some, parents)


class _Writer:
    """States records, and declares once whatever they refer to."""

    flow: Flow

    def __init__(self, sink: Sink, known: set[str]) -> None:
        self._take = sink.take
        self._known = known
        self._declared: set[str] = set()
        self._processes: dict[int, tuple[object, str]] = {}

    def state(self, records: Sequence[Record], parents: Container[str]) -> None:
        """State some records, of which those with these ids are parents."""
        self.flow.prepare_origins(records)
        for record, carrying in zip(records, carried([record.plain for record in records]), strict=True):
            self.add(record, carrying)
            if record.id in parents:
                self.pass_on(record)

    def add(self, record: Record, carrying: tuple[str, str]) -> None:
        """Add an activity and all that is known of it, with the attribute that carries its record."""
        plain = record.plain
        activity = f"run:{record.id}"
        ended = plain.get("ended_at")
        times = _known((_START, record.started_at), (_END, record.ended_at))
        self._take("activity", activity, times, [*self._activity_attributes(record), carrying])
        if record.parent_id in self._known:
            starter = (("prov:starter", f"run:{record.parent_id}"), ("prov:time", record.started_at))
            self._take("wasStartedBy", None, ((_ACTIVITY_OF, activity), *starter), [])
        self._associate(record, activity)
        for role in plain.get("used", {}):
            self._use(record, role)
        for role in plain.get("generated", {}):
            identifier = f"rel:g-{record.id}-{_digest(role)}"
            when = None if ended is None else instant(ended)
            attributes: _Attributes = [("prov:role", role)]
            generated = ((_ENTITY, self._occurrence(record, role)), (_ACTIVITY_OF, activity))
            self._take("wasGeneratedBy", identifier, (*generated, *_known(("prov:time", when))), attributes)
        self._inform(record, activity)

    def pass_on(self, outer: Record) -> None:
        """Say which of what an activity generated is what one inside it had generated already."""
        for role in outer.plain.get("generated", {}):
            inner = self.flow.passed_on(outer, role)
            if inner:
                both = self._occurrence(outer, role), self._occurrence(inner.record, inner.role)
                self._take(
                    "alternateOf", None, tuple(zip(("prov:alternate1", "prov:alternate2"), both, strict=True)), []
                )

    def _activity_attributes(self, record: Record) -> _Attributes:
        plain: Mapping[str, Any] = record.plain
        kind = record.kind.capitalize() if record.kind in _KINDS else "Activity"
        result: _Attributes = [("prov:label", record.name), ("prov:type", Name(f"provtel:{kind}"))]
        result += [
            (f"provtel:{key}", plain[key])
            for key in ("kind", "status", "workflow_id", "workflow_name", "campaign_id", "host", "pid", "rank")
            if key in plain
        ]
        result += [(f"provtel:{key}_unix_nano", plain[key]) for key in ("started_at", "ended_at") if key in plain]
        if record.parent_id:
            result.append(("provtel:part_of", Name(f"run:{record.parent_id}")))
        about = Annotation(record).of if record.kind == ANNOTATION else None
        if about:
            result.append(("provtel:annotates", Name(f"run:{about}")))
        result += [(f"provtel:error_{key}", text) for key, text in plain.get("error", {}).items()]
        result += [("provtel:tag", tag) for tag in record.tags]
        for key, figure in plain.get("telemetry", {}).items():
            result.append((f"provtel:telemetry_{_NOT_IN_NAMES.sub('_', key)}", _scalar(figure)))
        return result

    def _associate(self, record: Record, activity: str) -> None:
        agent, plan = self._agent(record, activity), self._plan(record.plain.get("plan"))
        if agent or plan:
            who = _known(("prov:agent", agent), ("prov:plan", plan))
            self._take("wasAssociatedWith", None, ((_ACTIVITY_OF, activity), *who), [])

    def _agent(self, record: Record, activity: str) -> str | None:
        known = record.agent
        if known is None or not (known.id or known.name):
            return self._process(record)
        agent = f"agent:{_digest(known.id or known.name)}"
        kind = _AGENT_TYPES.get((known.type or "").lower())
        attributes: _Attributes = [("prov:label", known.name or known.id)]
        attributes += [("prov:type", Name(kind))] if kind else []
        attributes += [("provtel:agent_id", known.id)] if known.id else []
        self._declare_agent(agent, attributes)
        if known.acted_on_behalf_of:
            responsible = f"agent:{_digest(known.acted_on_behalf_of)}"
            self._declare_agent(responsible, [("prov:label", known.acted_on_behalf_of)])
            both = ("prov:delegate", agent), ("prov:responsible", responsible)
            self._take("actedOnBehalfOf", None, (*both, (_ACTIVITY_OF, activity)), [])
        return agent

    def _process(self, record: Record) -> str | None:
        resource = record.plain.get("resource")
        if not resource:
            return None
        known = self._processes.get(id(resource))
        if known is not None:
            return known[1]
        process = f"agent:process-{_digest(resource)}"
        if len(self._processes) >= _MOST_PROCESSES:
            self._processes.clear()
        self._processes[id(resource)] = resource, process  # the resource is held, so that its id stays its own
        where = f"process {record.pid} on {record.host}" if record.pid and record.host else "process"
        attributes: _Attributes = [("prov:type", Name("prov:SoftwareAgent")), ("prov:label", where)]
        for key in _OF_PROCESSES:
            if key in resource:
                attributes.append((f"provtel:{_NOT_IN_NAMES.sub('_', key)}", _scalar(resource[key])))
        self._declare_agent(process, attributes)
        return process

    def _declare_agent(self, agent: str, attributes: _Attributes) -> None:
        if agent not in self._declared:
            self._declared.add(agent)
            self._take("agent", agent, (), attributes)

    def _plan(self, plan: PlainPlan | None) -> str | None:
        if not plan:
            return None
        identifier = f"plan:{_digest(plan.get('hash') or cast('dict[str, AnyValue]', plan))}"
        attributes: _Attributes = [("prov:type", Name("prov:Plan"))]
        attributes += [(f"provtel:plan_{key}", value) for key, value in plan.items()]
        self._declare(identifier, attributes)
        return identifier

    def _use(self, record: Record, role: str) -> None:
        origins = self.flow.origins(record, role)
        attributes: _Attributes = [("prov:role", role)]
        # What a declared source generated may come while its user runs; when it was used then, nobody knows.
        late = any(generated_at(origin.record) > record.plain["started_at"] for origin in origins)
        if len(origins) == 1 and origins[0].whole:
            entity = self._occurrence(origins[0].record, origins[0].role)
            attributes += _knowledge(origins[0])
        else:
            entity = f"occ:u-{record.id}-{_digest(role)}"
            self._declare_datum(entity, role, record.plain["used"][role])
            for origin in origins:
                source = self._occurrence(origin.record, origin.role)
                both = ("prov:generatedEntity", entity), ("prov:usedEntity", source)
                self._take("wasDerivedFrom", None, both, _knowledge(origin))
        identifier = f"rel:u-{record.id}-{_digest(role)}"
        when = _known(("prov:time", None if late else record.started_at))
        self._take("used", identifier, ((_ACTIVITY_OF, f"run:{record.id}"), (_ENTITY, entity), *when), attributes)

    def _occurrence(self, record: Record, role: str) -> str:
        entity = f"occ:g-{record.id}-{_digest(role)}"
        self._declare_datum(entity, role, record.plain.get("generated", {}).get(role))
        return entity

    def _declare_datum(self, entity: str, role: str, value: AnyValue) -> None:
        if entity in self._declared:
            return
        self._declare(entity, [("prov:label", role), ("prov:type", Name("provtel:Data")), *_datum(value)])
        key = content_key(value)
        if key:
            content_hash = key.removeprefix(f"{CONTENT}:")
            content = f"content:{content_hash.removeprefix(SHA256_PREFIX)}"
            self._declare(content, [("prov:type", Name("provtel:Content")), ("provtel:hash", content_hash)])
            both = ("prov:specificEntity", entity), ("prov:generalEntity", content)
            self._take("specializationOf", None, both, [])

    def _declare(self, entity: str, attributes: _Attributes) -> None:
        if entity not in self._declared:
            self._declared.add(entity)
            self._take("entity", entity, (), attributes)

    def _inform(self, record: Record, activity: str) -> None:
        links = record.plain.get("links", ())
        declared = [link for link in links if _relation(link.get("attributes")) == Evidence.DECLARED]
        for source in {record_id(link["trace_id"], link["span_id"]): None for link in declared}:
            if source not in self._known:
                self._known.add(source)
                self._take("activity", f"run:{source}", (), [])
            self._take("wasInformedBy", None, (("prov:informed", activity), ("prov:informant", f"run:{source}")), [])


def _known(*arguments: tuple[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return the arguments that are known."""
    return tuple(argument for argument in arguments if argument[1] is not None)


def _relation(attributes: Mapping[str, AnyValue] | None) -> AnyValue:
    return (attributes or {}).get(names.PROV_RELATION)


def _knowledge(origin: Origin) -> _Attributes:
    return [("provtel:evidence", origin.evidence.value), ("provtel:candidates", origin.candidates)]


def _datum(value: AnyValue) -> Iterable[tuple[str, Any]]:
    if not isinstance(value, dict) or value.get(TYPE_KEY) != "reference":
        return [] if value is None else [("prov:value", _scalar(value))]
    known = {key: _scalar(item) for key, item in value.items() if key != TYPE_KEY}
    place = [("prov:location", known.pop("uri"))] if "uri" in known else []
    return [*place, *((f"provtel:reference_{_NOT_IN_NAMES.sub('_', key)}", item) for key, item in known.items())]


def _scalar(value: AnyValue) -> bool | int | float | str:
    readable = as_json(value)
    return readable if isinstance(readable, bool | int | float | str) else json.dumps(readable, ensure_ascii=False)


def _digest(value: AnyValue) -> str:
    return _digest_of_text(value) if type(value) is str else hashlib.sha256(canonical_bytes(value)).hexdigest()[:32]


@lru_cache(maxsize=4096)
def _digest_of_text(text: str) -> str:
    return hashlib.sha256(canonical_bytes(text)).hexdigest()[:32]  # roles and agents are few, and asked for often
