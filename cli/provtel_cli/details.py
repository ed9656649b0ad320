"""One record, in full."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

from provtel_model import attributes as names
from provtel_query.friendly import as_json
from provtel_query.text import cut, duration_text, short_id, size_text, value_text
from rich.table import Table
from rich.text import Text

from provtel_cli.table import local_time, status_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import Record

_LONG: Final = 2000
_CHILDREN: Final = 20


def details(record: Record, children: Sequence[Record]) -> Table:
    """Return a record as a table of what is known and what it is."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for title, text in _rows(record, children):
        grid.add_row(title, text)
    return grid


def _rows(record: Record, children: Sequence[Record]) -> Iterator[tuple[str, Text]]:
    plain: Mapping[str, Any] = record.plain
    yield record.kind, Text(cut(record.name, _LONG), style="bold")
    yield "id", Text(record.id)
    yield "status", status_text(record)
    yield from _error(record)
    yield from _times(record)
    for title, key in (("workflow", "workflow_name"), ("run", "workflow_id"), ("campaign", "campaign_id")):
        if key in plain:
            yield title, Text(cut(plain[key], _LONG))
    if record.parent_id:
        yield "part of", Text(record.parent_id)
    yield from _values("used", plain.get("used"))
    yield from _values("generated", plain.get("generated"))
    yield from _costs(plain.get("telemetry", {}))
    yield from _values("code", plain.get("plan"))
    yield from _values("agent", plain.get("agent"))
    yield from _process(record)
    yield from _origin(record)
    if record.tags:
        yield "tags", Text(cut(", ".join(record.tags), _LONG))
    yield from _values("attributes", plain.get("attributes"))
    yield from _links(record)
    yield from _children(children)


def _error(record: Record) -> Iterator[tuple[str, Text]]:
    error = record.error
    if error:
        parts = [part for part in (error.type, error.message) if part]
        yield "error", Text(cut(": ".join(parts), _LONG), style="red")
        if error.stacktrace:
            lines = (cut(line, _LONG) for line in error.stacktrace.rstrip().splitlines())
            yield "", Text("\n".join(lines), style="dim")


def _times(record: Record) -> Iterator[tuple[str, Text]]:
    yield "started", Text(local_time(record.started_at))
    if record.ended_at:
        yield "ended", Text(f"{local_time(record.ended_at)}, after {duration_text(record.duration)}")
    elif record.last_seen_at:
        yield "last seen", Text(local_time(record.last_seen_at))


def _values(title: str, values: Mapping[str, AnyValue] | None) -> Iterator[tuple[str, Text]]:
    for role, value in (values or {}).items():
        yield title, Text.assemble((cut(role, _LONG), "cyan"), " = ", _full(value))
        title = ""


def _full(value: AnyValue) -> str:
    readable = as_json(value)
    return cut(json.dumps(readable, ensure_ascii=False), _LONG) if readable else value_text(value)


def _costs(telemetry: Mapping[str, AnyValue]) -> Iterator[tuple[str, Text]]:
    title = "cost"
    for name, figure in telemetry.items():
        yield title, Text.assemble((name, "cyan"), " = ", _figure(name, figure))
        title = ""


def _figure(name: str, figure: AnyValue) -> str:
    if isinstance(figure, int | float) and not isinstance(figure, bool):
        of_whom = name.removeprefix("children.")
        if of_whom.startswith("cpu."):
            return duration_text(figure)
        if of_whom.startswith(("memory.", "io.")) or name == "gpu.memory":
            return size_text(figure)
    return value_text(figure)


def _process(record: Record) -> Iterator[tuple[str, Text]]:
    resource = record.plain.get("resource", {})
    runtime = [str(resource[name]) for name in _RUNTIME if name in resource]
    where = [f"pid {record.pid}"] if record.pid else []
    where += [f"on {record.host}"] if record.host else []
    text = " ".join([*where, *runtime])
    if text:
        yield "process", Text(cut(text, _LONG))


_RUNTIME: Final = (names.PROCESS_RUNTIME_NAME, names.PROCESS_RUNTIME_VERSION)


def _origin(record: Record) -> Iterator[tuple[str, Text]]:
    resource: Mapping[str, Any] = record.plain.get("resource", {})
    if names.VCS_REF_HEAD_REVISION in resource:
        yield "version", Text(cut(_version(resource), _LONG))
    command = resource.get(names.PROCESS_COMMAND_ARGS)
    if isinstance(command, list):
        yield "command", Text(cut(shlex.join(map(str, command)), _LONG))
    if names.PROCESS_WORKING_DIRECTORY in resource:
        yield "in folder", Text(cut(str(resource[names.PROCESS_WORKING_DIRECTORY]), _LONG))
    settings = resource.get(names.PROVTEL_SETTINGS)
    if isinstance(settings, dict):
        yield from _values("settings", settings)


def _version(resource: Mapping[str, Any]) -> str:
    parts = [str(resource[names.VCS_REF_HEAD_REVISION])]
    if names.VCS_REF_HEAD_NAME in resource:
        parts.append(f"on {resource[names.VCS_REF_HEAD_NAME]}")
    if names.VCS_REPOSITORY_URL_FULL in resource:
        parts.append(f"of {resource[names.VCS_REPOSITORY_URL_FULL]}")
    if resource.get(names.PROVTEL_VCS_MODIFIED):
        parts.append("with changes that were not committed")
    return " ".join(parts)


def _links(record: Record) -> Iterator[tuple[str, Text]]:
    title = "links"
    for link in record.links:
        says = " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in link.attributes.items())
        yield title, Text(cut(f"{link.id} {says}", _LONG))
        title = ""


def _children(children: Sequence[Record]) -> Iterator[tuple[str, Text]]:
    title = "contains"
    for child in children[:_CHILDREN]:
        yield title, Text.assemble(f"{short_id(child)} {cut(child.name, 60)} ", status_text(child))
        title = ""
    if len(children) > _CHILDREN:
        yield "", Text(f"and {len(children) - _CHILDREN} more")
