"""OpenLineage events to records."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from provtel_model import attributes as names
from provtel_model.components import Batch, Signal
from provtel_model.errors import MalformedError, StoreError
from provtel_model.otlp import decode, from_json
from provtel_model.record import State, nanoseconds_of, record_id

from provtel_query.openlineage.datasets import reference_of
from provtel_query.openlineage.writing import FACET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainLink, PlainRecord

_ENDS: Final = {"COMPLETE": State.FINISHED, "FAIL": State.ERROR, "ABORT": State.CANCELLED}
_TYPES: Final = frozenset({"START", "RUNNING", "OTHER", *_ENDS})
_MANY_JOBS: Final = frozenset({"DAG", "WORKFLOW", "PIPELINE"})


@dataclass(slots=True)
class _Run:
    """What the events of one run say together.

    Args:
        id: The run's id.
        job: The job, as the last event has it.
        facets: The run facets; of a name the last counts.
        times: When its events of each type were.
        inputs: Datasets by namespace and name.
        outputs: Datasets by namespace and name.
        producer: Who says so.
    """

    id: str
    job: dict[str, Any] = field(default_factory=dict)
    facets: dict[str, Any] = field(default_factory=dict)
    times: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    inputs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    outputs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    producer: str = ""

    @property
    def started_at(self) -> int:
        """When it started, or was first heard of."""
        return min(self.times.get("START") or [time for times in self.times.values() for time in times])

    @property
    def end(self) -> tuple[State, int] | None:
        """How and when it ended."""
        ends = [(times[-1], _ENDS[kind]) for kind, times in self.times.items() if kind in _ENDS]
        return (max(ends)[1], max(max(ends)[0], self.started_at)) if ends else None

    @property
    def parent(self) -> str | None:
        """The id of the run that it is part of."""
        found = self.facets.get("parent", {}).get("run", {}).get("runId")
        return found if isinstance(found, str) and _is_uuid(found) else None


def read_events(events: Iterable[object]) -> list[PlainRecord]:
    """Return the records that events tell of, in the order in which their runs were first heard of.

    Our own come back as they were. Of others each run is a record: datasets are references under their names,
    parameters inputs, and a run that read a dataset after another wrote it is linked to it. Events of jobs and of
    datasets alone tell of no run.

    Raises:
        MalformedError: Something is no OpenLineage event; the text says the place in the list and what is wrong.
    """
    runs: dict[str, _Run] = {}
    for place, event in enumerate(events, 1):
        try:
            _take(runs, event)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MalformedError(f"event {place} is no OpenLineage event: {_said(error)}") from error
    own = {identity: record for identity, run in runs.items() for record in _own_record(run)}
    foreign = {identity: run for identity, run in runs.items() if identity not in own}
    parents = {run.parent for run in foreign.values()}
    links = _links(foreign)
    return [
        own[identity]
        if identity in own
        else _record(run, foreign, links.get(identity, []), is_parent=identity in parents)
        for identity, run in runs.items()
    ]


def read_file(path: Path) -> list[PlainRecord]:
    """Return the records that a file of events tells of: one object a line, or one list of them.

    Raises:
        MalformedError: It is no such file; the text says where and why.
        StoreError: It cannot be read.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise MalformedError(f"{path} is no text in UTF-8: {error.reason} at byte {error.start}") from None
    try:
        return read_events(_events_in(text))
    except MalformedError as error:
        raise MalformedError(f"{path}: {error}") from error


def _events_in(text: str) -> list[object]:
    """Return the objects of a JSON list, or of a text with one a line."""
    if text.lstrip().startswith("["):
        try:
            return list(json.loads(text))
        except ValueError as error:
            raise MalformedError(f"it is no list in JSON: {error}") from None
    events: list[object] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            events += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            raise MalformedError(f"line {number} is no JSON: {error}") from None
    return events


def _said(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)


def _take(runs: dict[str, _Run], event: object) -> None:
    if not isinstance(event, dict):
        raise TypeError("it is no object")
    if "run" not in event:
        if "job" in event or "dataset" in event:
            return
        raise KeyError("run")
    kind = event.get("eventType", "OTHER")
    if kind not in _TYPES:
        raise ValueError(f"eventType {kind!r} is none of {', '.join(sorted(_TYPES))}")
    time = nanoseconds_of(dt.datetime.fromisoformat(event["eventTime"]))
    job = {"namespace": str(event["job"]["namespace"]), "name": str(event["job"]["name"])}
    identity = str(uuid.UUID(event["run"]["runId"]))
    run = runs.setdefault(identity, _Run(identity))
    run.job = {**job, "facets": {**run.job.get("facets", {}), **(event["job"].get("facets") or {})}}
    run.facets |= event["run"].get("facets") or {}
    run.times[kind].append(time)
    run.producer = str(event.get("producer", ""))
    for key, held in (("inputs", run.inputs), ("outputs", run.outputs)):
        for dataset in event.get(key) or ():
            held[str(dataset["namespace"]), str(dataset["name"])] = dataset


def _own_record(run: _Run) -> Iterator[PlainRecord]:
    """Yield the record that a run of ours carries, if it does."""
    own = run.facets.get(FACET)
    if not isinstance(own, dict) or "request" not in own:
        return
    try:
        signal = Signal(own.get("signal", ""))
        yield from decode(Batch(signal, from_json(signal, json.dumps(own["request"]).encode()), 1))[:1]
    except (ValueError, MalformedError):
        return  # somebody else's facet of our name


def _record(run: _Run, runs: Mapping[str, _Run], links: list[PlainLink], *, is_parent: bool) -> PlainRecord:
    root = _root(run, runs)
    kind = run.job["facets"].get("jobType", {}).get("jobType", "")
    plain: dict[str, Any] = {
        "trace_id": _trace_id(root),
        "span_id": _span_id(run.id),
        "name": run.job["name"],
        "kind": "workflow" if is_parent or kind in _MANY_JOBS else "task",
        "status": State.RUNNING.value,
        "started_at": run.started_at,
        "workflow_id": record_id(_trace_id(root), _span_id(root)),
    }
    workflow = runs[root].job["name"] if root in runs else _root_job(run)
    if workflow:
        plain["workflow_name"] = workflow
    if run.parent:
        plain["parent_id"] = record_id(_trace_id(root), _span_id(run.parent))
    if run.end is None:
        plain["last_seen_at"] = max(time for times in run.times.values() for time in times)
    else:
        status, plain["ended_at"] = run.end
        plain["status"] = status.value
    for key, datasets in (("used", run.inputs), ("generated", run.outputs)):
        values: dict[str, AnyValue] = {
            _role(dataset): reference_of(dataset, _version(dataset)) for dataset in datasets.values()
        }
        if key == "used":
            values |= _parameters(run.facets)
        if values:
            plain[key] = values
    plain |= _told(run)
    if links:
        plain["links"] = links
    return cast("PlainRecord", plain)


def _root(run: _Run, runs: Mapping[str, _Run]) -> str:
    """Return the id of the outermost run that one is part of."""
    seen = [run.id]
    current: _Run | None = run
    while current is not None and current.parent and current.parent not in seen:
        root = current.facets["parent"].get("root", {}).get("run", {}).get("runId")
        seen.append(root if isinstance(root, str) and _is_uuid(root) and root not in seen else current.parent)
        current = runs.get(seen[-1])
    return seen[-1]


def _root_job(run: _Run) -> str | None:
    parent = run.facets.get("parent", {})
    name = (parent.get("root") or parent).get("job", {}).get("name")
    return name if isinstance(name, str) else None


def _trace_id(identity: str) -> str:
    return uuid.UUID(identity).hex


def _span_id(identity: str) -> str:
    return hashlib.sha256(uuid.UUID(identity).bytes).hexdigest()[:16]


def _is_uuid(text: str) -> bool:
    try:
        return bool(uuid.UUID(text))
    except ValueError:
        return False


def _role(dataset: Mapping[str, Any]) -> str:
    own = dataset.get("facets", {}).get(FACET, {}) if isinstance(dataset.get("facets"), dict) else {}
    return str(own.get("role") or dataset["name"])


def _version(dataset: Mapping[str, Any]) -> str | None:
    version = (dataset.get("facets") or {}).get("version", {}).get("datasetVersion")
    return version if isinstance(version, str) else None


def _parameters(facets: Mapping[str, Any]) -> dict[str, AnyValue]:
    told = facets.get("executionParameters", {}).get("parameters") or ()
    return {str(each["key"]): each.get("value") for each in told if isinstance(each, dict) and "key" in each}


def _told(run: _Run) -> dict[str, Any]:
    """Return what standard facets say in a record's own words, and the rest as attributes."""
    result: dict[str, Any] = {}
    error = run.facets.get("errorMessage", {})
    if run.end and run.end[0] is State.ERROR and error:
        known = {"message": error.get("message"), "stacktrace": error.get("stackTrace")}
        result["error"] = {key: text for key, text in known.items() if isinstance(text, str) and text}
    facets = run.job["facets"]
    code = facets.get("sourceCodeLocation", {})
    plan = {"file": code.get("path") or code.get("url"), "hash": code.get("version")}
    plan = {key: text for key, text in plan.items() if isinstance(text, str) and text}
    owners = [each.get("name") for each in facets.get("ownership", {}).get("owners") or ()]
    tags = [f"{each['key']}={each['value']}" for each in run.facets.get("tags", {}).get("tags") or ()]
    result |= {"plan": plan} if plan else {}
    result |= {"agent": {"id": owners[0]}} if owners and isinstance(owners[0], str) else {}
    result |= {"tags": list(tags)} if tags else {}
    attributes = {
        names.OPENLINEAGE_JOB_NAMESPACE: run.job["namespace"],
        names.OPENLINEAGE_RUN_ID: run.id,
        names.OPENLINEAGE_PRODUCER: run.producer,
        names.OPENLINEAGE_RUN_FACETS: json.dumps(run.facets, sort_keys=True) if run.facets else "",
        names.OPENLINEAGE_JOB_FACETS: json.dumps(facets, sort_keys=True) if facets else "",
    }
    result["attributes"] = {key: text for key, text in attributes.items() if text}
    return result


def _links(runs: Mapping[str, _Run]) -> dict[str, list[PlainLink]]:
    """Return for each run which runs had written what it read: of each dataset the last that ended before."""
    writers: dict[tuple[str, str], list[tuple[int, _Run]]] = defaultdict(list)
    for run in runs.values():
        for name in run.outputs:
            if run.end:
                writers[name].append((run.end[1], run))
    result: dict[str, list[PlainLink]] = defaultdict(list)
    for run in runs.values():
        for name, dataset in run.inputs.items():
            before = [(ended, each.id) for ended, each in writers[name] if ended <= run.started_at and each is not run]
            if before:
                source = runs[max(before)[1]]
                result[run.id].append(_link(source, _root(source, runs), _role(dataset), _role(source.outputs[name])))
    return result


def _link(source: _Run, root: str, role: str, source_role: str) -> PlainLink:
    says: dict[str, AnyValue] = {
        names.PROV_RELATION: "declared",
        names.PROV_ROLE: role,
        names.PROV_SOURCE_ROLE: source_role,
    }
    return {"trace_id": _trace_id(root), "span_id": _span_id(source.id), "attributes": says}
