"""Which record or run a person means: by id, by a prefix of it, by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from provtel_model.attributes import PROCESS_CREATION_TIME
from provtel_model.errors import FilterError, UserError
from provtel_model.filters import Query

if TYPE_CHECKING:
    from provtel_model.components import Reader
    from provtel_model.record import Record

MIN_PREFIX: Final = 4
_PREFIX: Final = re.compile(rf"[0-9a-f]{{{MIN_PREFIX},32}}(-[0-9a-f]{{0,16}})?")
_AFTER_HEX: Final = "g"
_SHOWN: Final = 4
_OLDEST_FIRST: Final = (("started_at", 1),)


def find_record(reader: Reader, text: str) -> Record | None:
    """Return the record that an id means, or a prefix of at least four digits of it or of its span id.

    A prefix of a trace id means the first record of the trace, which is its workflow where it has one. A prefix of a
    span id is looked for in the last run first, and elsewhere only where that has none.

    Raises:
        UserError: The prefix fits several.
    """
    text = text.lower()
    if not _PREFIX.fullmatch(text):
        return None
    found = reader.get(text) or _only(reader, "id", text, {})
    if found or "-" in text:
        return found
    return _only(reader, "span_id", text, last_run(reader)) or _only(reader, "span_id", text, {})


def find_run(reader: Reader, text: str) -> str | None:
    """Return the run that a person means: its id, its workflow's name, or the id or a prefix of a record in it.

    Of several workflows of one name it is the newest.

    Raises:
        UserError: A prefix fits several records.
    """
    for where in ({"run": text}, {"kind": "workflow", "name": text}):
        found = reader.find(Query(where=where, limit=1))
        if found:
            return found[0].run
    record = find_record(reader, text)
    return record.run if record else None


def newest(reader: Reader) -> Record | None:
    """Return the task or workflow that started last."""
    found = reader.find(Query(where={"kind": {"$in": ["task", "workflow"]}}, limit=1))
    return found[0] if found else None


def last_run(reader: Reader) -> dict[str, Any]:
    """Return the filter that selects the last run: that of the task or workflow that started last.

    A task without a workflow is a run by itself; so that a script of such tasks is seen whole, the last run is then all
    of its process that have no workflow. The filter of an empty store selects what there is: nothing.
    """
    record = newest(reader)
    if record is None:
        return {}
    since = record.plain.get("resource", {}).get(PROCESS_CREATION_TIME)
    if record.workflow_id or record.pid is None or not isinstance(since, str):
        return {"run": record.run}
    where = {"workflow_id": None, "host": record.host, "pid": record.pid, "started_at": {"$gte": since}}
    try:
        Query(where=where)
    except FilterError:
        return {"run": record.run}
    return where


def _only(reader: Reader, field: str, prefix: str, scope: dict[str, Any]) -> Record | None:
    where = scope | {field: {"$gte": prefix, "$lt": prefix + _AFTER_HEX}}
    found = reader.find(Query(where=where, limit=_SHOWN))
    if len(found) <= 1:
        return found[0] if found else None
    if field == "id" and not reader.find(Query(where=where | {"trace_id": {"$ne": found[0].trace_id}}, limit=1)):
        return reader.find(Query(where={"trace_id": found[0].trace_id}, sort=_OLDEST_FIRST, limit=1))[0]
    shown = ", ".join(f"{record.id} ({record.name})" for record in found)
    raise UserError(f"{prefix!r} fits {reader.count(Query(where=where))} records, such as {shown}; give more digits")
