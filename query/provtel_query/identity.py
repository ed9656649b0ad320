"""Which record or run a person means: by id, by a prefix of it, by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import UserError
from provtel_model.filters import Query

if TYPE_CHECKING:
    from provtel_model.components import Reader
    from provtel_model.record import Record

MIN_PREFIX: Final = 4
_PREFIX: Final = re.compile(rf"[0-9a-f]{{{MIN_PREFIX},32}}(-[0-9a-f]{{0,16}})?")
_AFTER_HEX: Final = "g"
_SHOWN: Final = 4
_ACTIVITIES: Final = ("task", "workflow")
_OLDEST_FIRST: Final = (("started_at", 1),)


def find_record(reader: Reader, text: str) -> Record | None:
    """Return the record that an id means, or a prefix of at least four digits of it or of its span id.

    A prefix of a trace id means the first record of the trace, which is its workflow where it has one.

    Raises:
        UserError: The prefix fits several.
    """
    text = text.lower()
    if not _PREFIX.fullmatch(text):
        return None
    return reader.get(text) or _only(reader, "id", text) or _only(reader, "span_id", text)


def find_run(reader: Reader, text: str) -> str | None:
    """Return the run that a person means: its id, the id or prefix of any record in it, or its workflow's name.

    Of several workflows of one name it is the newest.

    Raises:
        UserError: A prefix fits several records.
    """
    for where in ({"run": text}, {"workflow_name": text}, {"kind": "workflow", "name": text}):
        found = reader.find(Query(where=where, limit=1))
        if found:
            return found[0].run
    record = find_record(reader, text)
    return record.run if record else None


def last_run(reader: Reader) -> str | None:
    """Return the run of the task or workflow that started last."""
    found = reader.find(Query(where={"kind": {"$in": list(_ACTIVITIES)}}, limit=1))
    return found[0].run if found else None


def _only(reader: Reader, field: str, prefix: str) -> Record | None:
    where: dict[str, Any] = {field: {"$gte": prefix, "$lt": prefix + _AFTER_HEX}}
    found = reader.find(Query(where=where, limit=_SHOWN))
    if len(found) <= 1:
        return found[0] if found else None
    if field == "id" and not reader.find(Query(where=where | {"trace_id": {"$ne": found[0].trace_id}}, limit=1)):
        return reader.find(Query(where={"trace_id": found[0].trace_id}, sort=_OLDEST_FIRST, limit=1))[0]
    shown = ", ".join(f"{record.id} ({record.name})" for record in found)
    raise UserError(f"{prefix!r} fits {reader.count(Query(where=where))} records, such as {shown}; give more digits")
