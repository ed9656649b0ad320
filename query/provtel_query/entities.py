"""The data of activities: what was used and generated, by content."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from provtel_model.anyvalue import TYPE_KEY
from provtel_model.dataflow import CONTENT
from provtel_model.filters import Query
from provtel_model.hashing import content_hash
from provtel_model.record import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.components import Reader
    from provtel_model.record import Record

NEEDED: Final = ("used", "generated")
"""The fields of records that entities are made of."""
ENTITY_COLUMNS: Final = ("hash", "value", "roles", "used_by", "generated_by", "first_at")
_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
_KNOWN: Final = ("type", "uri", "nbytes")


def records_with(reader: Reader, where: Mapping[str, Any], content: str) -> Sequence[Record]:
    """Return the activities that match, or those of them alone that used or generated a content.

    Args:
        reader: Where they are.
        where: A filter.
        content: A hash; where it is a whole one to whose data keys lead, the others are left out.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
    """
    query = Query(where=where, fields=NEEDED)
    if _HASH.fullmatch(content):
        key = f"{CONTENT}:{content}"
        found = [*reader.generated([key])[key], *reader.used([key])[key]]
        if found:  # else it may be that of a value for which no key is made, as equality of it means nothing
            records = {key_of(occurrence.record.plain): occurrence.record for occurrence in found}
            return [record for record in records.values() if query.matches(record.plain)]
    return reader.find(query)


def entities_of(records: Iterable[Record], role: str | None = None, content: str = "") -> list[dict[str, Any]]:
    """Return the data that activities used and generated, each content once, the first that was seen first.

    Args:
        records: The activities.
        role: Only what was used or generated in this role.
        content: What the hash begins with.
    """
    found: dict[str, dict[str, Any]] = {}
    for record in sorted(records, key=lambda record: key_of(record.plain)):
        for way in NEEDED:
            for name, value in record.plain.get(way, {}).items():  # type: ignore[attr-defined]  # both are maps
                if role in {None, name}:
                    _add(found, record, way, name, value)
    wanted = (row for row in found.values() if row["hash"].startswith(content))
    order = sorted(wanted, key=lambda row: (row["first_at"], row["hash"]))
    return [{**row, "roles": [*row["roles"]]} for row in order]


def _add(found: dict[str, dict[str, Any]], record: Record, way: str, role: str, value: AnyValue) -> None:
    known = value.get("hash") if isinstance(value, dict) and value.get(TYPE_KEY) == "reference" else None
    identity = known if isinstance(known, str) else content_hash(value)
    row = found.get(identity)
    if row is None:
        row = found[identity] = {"hash": identity, "roles": {}, "value": value, "used_by": [], "generated_by": []}
        if isinstance(value, dict) and value.get(TYPE_KEY) == "reference":
            row.update((name, value[name]) for name in _KNOWN if name in value)
        row["first_at"] = record.plain["started_at"]
    row["first_at"] = min(row["first_at"], record.plain["started_at"])
    row["roles"][role] = None
    ids = row["used_by" if way == "used" else "generated_by"]
    if record.id not in ids[-1:]:
        ids.append(record.id)
