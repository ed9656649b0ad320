"""Records to OpenLineage events."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final, cast

from provtel_model import attributes as names
from provtel_model.anyvalue import TYPE_KEY
from provtel_model.otlp import encode, to_object
from provtel_model.record import State, instant

from provtel_query.friendly import as_json
from provtel_query.openlineage.datasets import is_dataset, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import Record

PRODUCER: Final = "urn:provtel:producer"
SCHEMA: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACET: Final = "provtel"
"""The name of our own facets."""
OWN_SCHEMA: Final = "urn:provtel:openlineage:record:1"
_FACETS: Final = "https://openlineage.io/spec/facets"
_ENDS: Final = {State.FINISHED: "COMPLETE", State.ERROR: "FAIL", State.CANCELLED: "ABORT", State.LOST: "ABORT"}
_DEFAULT_NAMESPACE: Final = "default"
_WORKFLOW: Final = "workflow"


def events_of(records: Iterable[Record]) -> Iterator[dict[str, Any]]:
    """Yield the events of records, in the order of the records."""
    known = {record.id: record for record in records}
    for record in known.values():
        yield from _events(record, known)


def run_id(identity: str) -> str:
    """Return the run id of a record: a UUID made of its id (RFC 9562, version 5)."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:provtel:activity:{identity}"))


def _events(record: Record, known: Mapping[str, Record]) -> Iterator[dict[str, Any]]:
    plain = record.plain
    identity, facets = run_id(record.id), _run_facets(record, known)
    job = _job(record)
    inputs = [_dataset(role, value) for role, value in plain.get("used", {}).items() if is_dataset(value)]
    outputs = [_dataset(role, value) for role, value in plain.get("generated", {}).items() if is_dataset(value)]
    common = {"producer": PRODUCER, "schemaURL": SCHEMA, "job": job}
    start = {"eventType": "START", "eventTime": _time(plain["started_at"]), "inputs": inputs, "outputs": []}
    yield {**start, "run": {"runId": identity, "facets": _without_own(facets)}, **common}
    status = State(plain["status"])
    at = plain.get("ended_at", plain.get("last_seen_at", plain["started_at"]))
    if status in _ENDS:
        facets |= _error(record)
    end = {"eventType": _ENDS.get(status, "RUNNING"), "eventTime": _time(at), "inputs": inputs, "outputs": outputs}
    yield {**end, "run": {"runId": identity, "facets": facets}, **common}


def _without_own(facets: Mapping[str, Any]) -> dict[str, Any]:
    """Return facets without the record, which the last event of the run carries."""
    return {name: facet for name, facet in facets.items() if name != FACET}


def _time(nanoseconds: int) -> str:
    return instant(nanoseconds).isoformat()


def _facet(schema: str, **content: Any) -> dict[str, Any]:
    url = schema if ":" in schema else f"{_FACETS}/{schema}"
    return {"_producer": PRODUCER, "_schemaURL": url, **content}


def _job(record: Record) -> dict[str, Any]:
    kind = _facet(
        "2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet",
        processingType="BATCH",
        integration="PROVTEL",
        jobType=record.kind.upper(),
    )
    facets: dict[str, Any] = {"jobType": kind}
    agent = record.agent
    owner = (agent.acted_on_behalf_of or agent.id or agent.name) if agent else None
    if owner:
        facets["ownership"] = _facet(
            "1-0-1/OwnershipJobFacet.json#/$defs/OwnershipJobFacet", owners=[{"name": owner, "type": "AGENT"}]
        )
    location = _code(record)
    if location:
        facets["sourceCodeLocation"] = location
    return {"namespace": _namespace(record), "name": _job_name(record), "facets": facets}


def _namespace(record: Record) -> str:
    return record.campaign_id or _DEFAULT_NAMESPACE


def _job_name(record: Record) -> str:
    workflow = record.workflow_name
    return f"{workflow}.{record.name}" if workflow and record.kind != _WORKFLOW else record.name


def _code(record: Record) -> dict[str, Any]:
    resource = record.plain.get("resource", {})
    plan = record.plan
    repository, revision = resource.get(names.VCS_REPOSITORY_URL_FULL), resource.get(names.VCS_REF_HEAD_REVISION)
    if plan is None or plan.file is None or not isinstance(repository, str):
        return {}
    known = {"version": revision} if isinstance(revision, str) else {}
    schema = "1-1-0/SourceCodeLocationJobFacet.json#/$defs/SourceCodeLocationJobFacet"
    return _facet(schema, type="git", url=repository, repoUrl=repository, path=plan.file, **known)


def _run_facets(record: Record, known: Mapping[str, Record]) -> dict[str, Any]:
    plain = record.plain
    facets: dict[str, Any] = {}
    if record.parent_id:
        facets["parent"] = _parent(record, record.parent_id, known)
    parameters = [
        {"key": role, "name": role, "value": _text(value)}
        for role, value in plain.get("used", {}).items()
        if not is_dataset(value)
    ]
    if parameters:
        schema = "1-0-0/ExecutionParametersRunFacet.json#/$defs/ExecutionParametersRunFacet"
        facets["executionParameters"] = _facet(schema, parameters=parameters)
    resource = plain.get("resource", {})
    engine, version = resource.get(names.PROCESS_RUNTIME_NAME), resource.get(names.PROCESS_RUNTIME_VERSION)
    if isinstance(version, str):
        schema = "1-1-1/ProcessingEngineRunFacet.json#/$defs/ProcessingEngineRunFacet"
        facets["processing_engine"] = _facet(schema, version=version, name=engine or "python")
    if record.tags:
        tags = [{"key": tag, "value": "true", "source": "USER"} for tag in record.tags]
        facets["tags"] = _facet("1-0-0/TagsRunFacet.json#/$defs/TagsRunFacet", tags=tags)
    (batch,) = encode([plain])
    own = {"signal": batch.signal, "request": to_object(batch.signal, batch.payload)}
    facets[FACET] = _facet(OWN_SCHEMA, **own)
    return facets


def _parent(record: Record, parent_id: str, known: Mapping[str, Record]) -> dict[str, Any]:
    schema = "1-2-0/ParentRunFacet.json#/$defs/ParentRunFacet"
    parent, root = known.get(parent_id), known.get(_root(record, known))
    facet = _facet(schema, run={"runId": run_id(parent_id)}, job=_job_id(parent, record))
    if root is not None:
        facet["root"] = {"run": {"runId": run_id(root.id)}, "job": _job_id(root, record)}
    return facet


def _job_id(record: Record | None, child: Record) -> dict[str, str]:
    if record is None:  # it is of another export; all that is known of it is the workflow
        return {"namespace": _namespace(child), "name": child.workflow_name or "unknown"}
    return {"namespace": _namespace(record), "name": _job_name(record)}


def _root(record: Record, known: Mapping[str, Record]) -> str:
    seen = {record.id}
    current = record
    while (parent := known.get(current.parent_id or "")) is not None and parent.id not in seen:
        current = parent
        seen.add(current.id)
    return current.id


def _text(value: AnyValue) -> str:
    readable = as_json(value)
    return readable if isinstance(readable, str) else json.dumps(readable, ensure_ascii=False)


def _dataset(role: str, value: AnyValue) -> dict[str, Any]:
    reference = cast("dict[str, AnyValue]", value)
    namespace, name = name_of(reference)
    known = {key: as_json(item) for key, item in reference.items() if key != TYPE_KEY}
    facets = {FACET: _facet("urn:provtel:openlineage:datum:1", role=role, **known)}
    content = reference.get("hash")
    if isinstance(content, str):
        schema = "1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet"
        facets["version"] = _facet(schema, datasetVersion=content)
    return {"namespace": namespace, "name": name, "facets": facets}


def _error(record: Record) -> dict[str, Any]:
    error = record.error
    if record.plain["status"] == State.LOST:
        message = "the process ended without a word"
    elif error is None:
        return {}
    else:
        message = error.message or error.type or "it failed"
    schema = "1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet"
    trace = {"stackTrace": error.stacktrace} if error and error.stacktrace else {}
    return {"errorMessage": _facet(schema, message=message, programmingLanguage="python", **trace)}
