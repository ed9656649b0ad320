"""The entities of a crate: the JSON-LD graph of its metadata file."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from provtel_model import attributes as names
from provtel_model.anyvalue import TYPE_KEY
from provtel_model.hashing import canonical_bytes
from provtel_model.record import State

from provtel_query.friendly import as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import Record

CONTEXT: Final = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
METADATA: Final = "ro-crate-metadata.json"
_PROFILES: Final = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_PARAMETER_PROFILE: Final = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
_PYTHON: Final = "https://w3id.org/workflowhub/workflow-ro-crate#python"
_DONE: Final = "http://schema.org/CompletedActionStatus"
_FAILED: Final = "http://schema.org/FailedActionStatus"
_ACTIVE: Final = "http://schema.org/ActiveActionStatus"
_UNITS: Final = {"cpu.user": "s", "cpu.system": "s", "memory.rss": "By", "memory.rss.peak": "By"}
_TYPES: Final = {bool: "Boolean", int: "Integer", float: "Float", str: "Text"}
_WORKFLOW: Final = "workflow"


class Graph:
    """The entities, each once.

    Args:
        files: Where in the crate a content is, by its place outside and its hash.
    """

    def __init__(self, files: Mapping[tuple[str, str], str]) -> None:
        self._files = files
        self._first: dict[str, str | None] = {}
        self._entities: dict[str, dict[str, Any]] = {}

    def add(self, identity: str, kind: str | list[str], **properties: Any) -> dict[str, str]:
        """Add an entity, unless there is one of its id, and return a reference to it; what is ``None`` is left out."""
        known = {key: value for key, value in properties.items() if value not in (None, [], "")}
        self._entities.setdefault(identity, {"@id": identity, "@type": kind, **known})
        return {"@id": identity}

    def append(self, entity: Mapping[str, str], key: str, references: Iterable[Mapping[str, str]]) -> None:
        """Add references to a property that has several."""
        held = self._entities[entity["@id"]].setdefault(key, [])
        held += [reference for reference in references if reference not in held]

    def document(self) -> dict[str, Any]:
        """Return the whole as JSON-LD."""
        return {"@context": CONTEXT, "@graph": list(self._entities.values())}

    def datum(self, record: Record, direction: str, role: str, value: AnyValue) -> dict[str, str]:
        """Return the entity of a value: a file where its content lies in a file, else a property's value."""
        if isinstance(value, dict) and value.get(TYPE_KEY) == "reference" and (value.get("uri") or value.get("hash")):
            return self._reference(role, value)
        identity = f"#{direction}-{digest_of([record.id, role])}"
        return self.add(identity, "PropertyValue", name=role, value=_literal(value))

    def _reference(self, role: str, value: Mapping[str, Any]) -> dict[str, str]:
        known = value.get("hash")
        digest = known.removeprefix("sha256:") if isinstance(known, str) and known.startswith("sha256:") else None
        place = str(value.get("uri") or f"urn:provtel:data:{known}")
        inside = self._files.get((place, str(known)))
        # A place that held several contents is several entities; the first has the place's own name.
        fragment = "" if self._first.setdefault(place, digest) == digest else f"#sha256-{digest}"
        size = value.get("nbytes")
        is_file = inside is not None or value.get("type") == "file"
        entity = self.add(
            inside or f"{place}{fragment}",
            "File" if is_file else "CreativeWork",
            name=role,
            sha256=digest,
            contentSize=None if size is None else str(size),
        )
        if is_file:
            self.append({"@id": "./"}, "hasPart", [entity])
        return entity


def digest_of(value: Any) -> str:
    """Return a short name that is the same wherever the value is."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()[:20]


def describe(records: Sequence[Record], graph: Graph, program: str, *, name: str, licence: str) -> dict[str, Any]:
    """Return the metadata of a run.

    Args:
        records: The run, oldest first; its first workflow is the main one.
        graph: Where to put the entities.
        program: The place of the workflow's program in the crate.
        name: What the crate is called.
        licence: What may be done with it: an address, or a sentence.
    """
    main = next((record for record in records if record.kind == _WORKFLOW), None)
    steps = [record for record in records if record is not main and record.kind != _WORKFLOW]
    began = min(record.started_at for record in records)
    graph.add(METADATA, "CreativeWork", about={"@id": "./"}, conformsTo={"@id": "https://w3id.org/ro/crate/1.1"})
    graph.add(
        "./",
        "Dataset",
        name=name,
        description=f"What the run {records[0].run} did, which data it used and generated, and what it cost.",
        datePublished=began.isoformat(),
        license=licence,
        conformsTo=[{"@id": profile} for profile in _PROFILES],
        mainEntity={"@id": program},
        hasPart=[{"@id": program}],
    )
    for profile, (title, number) in _PROFILES.items():
        graph.add(profile, "CreativeWork", name=title, version=number)
    _add_workflow(graph, program, main, steps)
    actions = [_add_step(graph, place, record) for place, record in enumerate(steps, 1)]
    whole = _add_run(graph, program, main, records)
    engine = graph.add(
        "urn:provtel:engine",
        "SoftwareApplication",
        name="provtel",
        softwareVersion=version("provtel"),
        url="https://pypi.org/project/provtel/",
    )
    organize = graph.add(
        "#organize",
        "OrganizeAction",
        name=f"execution of {name}",
        instrument=engine,
        object=[{"@id": f"#control-{digest_of(record.id)}"} for record in steps],
        result=whole,
        startTime=began.isoformat(),
        agent=_agent(graph, main or records[0]),
    )
    graph.append({"@id": "./"}, "mentions", [whole, *actions, organize])
    return graph.document()


def _add_workflow(graph: Graph, program: str, main: Record | None, steps: Sequence[Record]) -> None:
    graph.add(
        _PYTHON,
        "ComputerLanguage",
        name="Python",
        identifier={"@id": "https://www.python.org/"},
        url={"@id": "https://www.python.org/"},
    )
    graph.add(
        program,
        ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        name=main.name if main else program,
        programmingLanguage={"@id": _PYTHON},
    )
    names_of_steps = dict.fromkeys(record.name for record in steps)
    positions = {step: str(place) for place, step in enumerate(names_of_steps, 1)}
    for record in steps:
        tool = _tool(graph, record)
        step = graph.add(
            _step_id(record), "HowToStep", name=record.name, position=positions[record.name], workExample=tool
        )
        graph.append({"@id": program}, "hasPart", [tool])
        graph.append({"@id": program}, "step", [step])


def _step_id(record: Record) -> str:
    return f"#step-{digest_of([record.name, _tool_id(record)])}"


def _tool_id(record: Record) -> str:
    plan = record.plain.get("plan", {})
    return f"urn:provtel:plan:{digest_of(plan.get('hash') or [record.name, plan.get('function')])}"


def _tool(graph: Graph, record: Record) -> dict[str, str]:
    plan = record.plan
    revision = record.plain.get("resource", {}).get(names.VCS_REF_HEAD_REVISION)
    known = plan.hash if plan and plan.hash else None
    number = revision if isinstance(revision, str) else known
    title = plan.function if plan and plan.function else record.name
    where = f"line {plan.line} of {plan.file}" if plan and plan.file else None
    return graph.add(
        _tool_id(record), "SoftwareApplication", name=title, softwareVersion=number, description=where, identifier=known
    )


def _add_step(graph: Graph, place: int, record: Record) -> dict[str, str]:
    tool = _tool(graph, record)
    action = _add_action(graph, f"#action-{digest_of(record.id)}", record, tool, f"step {place}: {record.name}")
    graph.add(
        f"#control-{digest_of(record.id)}",
        "ControlAction",
        name=f"orchestration of {record.name}",
        instrument={"@id": _step_id(record)},
        object=action,
    )
    for direction, key, values in _values(record):
        for role, value in values.items():
            _parameter(graph, tool, direction, key, role, value, graph.datum(record, direction, role, value))
    return action


def _values(record: Record) -> list[tuple[str, str, Mapping[str, AnyValue]]]:
    plain = record.plain
    return [("used", "input", plain.get("used", {})), ("generated", "output", plain.get("generated", {}))]


def _parameter(
    graph: Graph,
    owner: Mapping[str, str],
    direction: str,
    key: str,
    role: str,
    value: AnyValue,
    datum: Mapping[str, str],
) -> None:
    identity = f"#{direction}-parameter-{digest_of([owner['@id'], role])}"
    profile = graph.add(_PARAMETER_PROFILE, "CreativeWork", name="FormalParameter", version="1.0-RELEASE")
    kind = "File" if _is_file(value) else _TYPES.get(type(value), "PropertyValue")
    parameter = graph.add(identity, "FormalParameter", name=role, additionalType=kind, conformsTo=profile)
    graph.append(owner, key, [parameter])
    graph.append(parameter, "workExample", [datum])
    graph.append(datum, "exampleOfWork", [parameter])


def _is_file(value: AnyValue) -> bool:
    return isinstance(value, dict) and value.get(TYPE_KEY) == "reference" and value.get("type") == "file"


def _add_run(graph: Graph, program: str, main: Record | None, records: Sequence[Record]) -> dict[str, str]:
    """Add the action of the workflow as a whole; a run without one lasts from its first start to its last end."""
    workflow = {"@id": program}
    if main is not None:
        action = _add_action(graph, "#run", main, workflow, f"run of {main.name}")
        for direction, key, values in _values(main):
            for role, value in values.items():
                _parameter(graph, workflow, direction, key, role, value, graph.datum(main, direction, role, value))
        return action
    ends = [record.ended_at for record in records if record.ended_at]
    return graph.add(
        "#run",
        "CreateAction",
        name="run",
        instrument=workflow,
        startTime=min(record.started_at for record in records).isoformat(),
        endTime=max(ends).isoformat() if len(ends) == len(records) else None,
        agent=_agent(graph, records[0]),
    )


def _add_action(graph: Graph, identity: str, record: Record, tool: Mapping[str, str], title: str) -> dict[str, str]:
    status, error = _status(record)
    return graph.add(
        identity,
        "CreateAction",
        name=title,
        description=f"{record.kind} {record.name}, id {record.id}",
        instrument=tool,
        object=[graph.datum(record, "used", role, value) for role, value in record.plain.get("used", {}).items()],
        result=[
            graph.datum(record, "generated", role, value) for role, value in record.plain.get("generated", {}).items()
        ],
        startTime=record.started_at.isoformat(),
        endTime=record.ended_at.isoformat() if record.ended_at else None,
        actionStatus={"@id": status},
        error=error,
        agent=_agent(graph, record),
        environment=_environment(graph, record),
        resourceUsage=_usage(graph, record),
    )


def _status(record: Record) -> tuple[str, str | None]:
    status = record.plain["status"]
    if status == State.FINISHED:
        return _DONE, None
    if status in {State.SUBMITTED, State.RUNNING}:
        return _ACTIVE, None
    error = record.error
    if error and (error.message or error.type):
        return _FAILED, ": ".join(text for text in (error.type, error.message) if text)
    return _FAILED, "its process ended without a word" if status == State.LOST else str(status)


def _agent(graph: Graph, record: Record) -> dict[str, str] | None:
    agent = record.agent
    owner = record.plain.get("resource", {}).get(names.PROCESS_OWNER)
    known = (agent.acted_on_behalf_of or agent.name or agent.id) if agent else None
    known = known or (owner if isinstance(owner, str) else None)
    if not known:
        return None
    kind = "Organization" if agent and (agent.type or "").lower() == "organization" else "Person"
    identity = known if known.startswith(("http://", "https://")) else f"#agent-{digest_of(known)}"
    return graph.add(identity, kind, name=known)


def _environment(graph: Graph, record: Record) -> list[dict[str, str]]:
    return [
        graph.add(f"#environment-{digest_of([key, value])}", "PropertyValue", name=key, value=_literal(value))
        for key, value in record.plain.get("resource", {}).items()
    ]


def _usage(graph: Graph, record: Record) -> list[dict[str, str]]:
    return [
        graph.add(
            f"#usage-{digest_of([record.id, key])}",
            "PropertyValue",
            name=key,
            propertyID=f"urn:provtel:ns:{names.TASK_PREFIX}{key}",
            unitText=_UNITS.get(key),
            value=_literal(value),
        )
        for key, value in record.plain.get("telemetry", {}).items()
    ]


def _literal(value: AnyValue) -> str:
    readable = as_json(value)
    return readable if isinstance(readable, str) else json.dumps(readable, ensure_ascii=False)
