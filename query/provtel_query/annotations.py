"""What people say of activities and data afterwards, kept as provenance itself: who said it, when, of what.

An annotation is a record of kind ``annotation``: an activity that used what it is about and generated what is said, by
the agent who says it. It refers to an activity, or to a value that one generated, by a link; to data by their content,
so that it is found wherever the same content occurs. It is no part of the data flow that lineage follows.
"""

from __future__ import annotations

import getpass
import secrets
import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

from provtel_model.attributes import PROV_RELATION, PROV_SOURCE_ROLE
from provtel_model.dataflow import content_key, file_key
from provtel_model.errors import UserError
from provtel_model.filters import Query
from provtel_model.record import PlainRecord, Record, State, record_id
from provtel_model.values import encode

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.components import Reader
    from provtel_model.record import PlainLink

    from provtel_query.lineage import Start

KIND: Final = "annotation"
RELATION: Final = "annotates"
TARGET: Final = "target"
"""The role of the datum that is annotated."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """Something that was said of an activity or a datum.

    Args:
        record: The activity of saying it.
    """

    record: Record

    @property
    def said(self) -> dict[str, Any]:
        """What is said, by key."""
        return self.record.generated

    @property
    def by(self) -> str | None:
        """Who said it."""
        agent = self.record.agent
        return agent.id if agent else None

    @property
    def at(self) -> dt.datetime:
        """When."""
        return self.record.started_at

    @property
    def of(self) -> str | None:
        """The id of the activity that it is about, or that generated the datum that it is about, where it names one."""
        return next((record_id(link["trace_id"], link["span_id"]) for link in _links(self.record)), None)

    @property
    def role(self) -> str | None:
        """The role in which that activity generated the datum; ``None`` where it is about the activity itself."""
        roles = (link.get("attributes", {}).get(PROV_SOURCE_ROLE) for link in _links(self.record))
        return next((role for role in roles if isinstance(role, str)), None)

    @property
    def value(self) -> Any:
        """The datum that it is about; ``None`` where it is about an activity."""
        return self.record.used.get(TARGET)

    @property
    def keys(self) -> list[str]:
        """By which content the datum is known wherever it occurs; none for an activity, or for what is small."""
        return _keys(self.record.plain.get("used", {}).get(TARGET))


def annotation(start: Start, said: Mapping[str, object], by: str | None) -> PlainRecord:
    """Return the record of an annotation made now.

    Raises:
        UserError: Nothing is said.
    """
    if not said:
        raise UserError("an annotation says nothing; give at least one KEY=VALUE")
    now = time.time_ns()
    plain: PlainRecord = {
        "trace_id": secrets.token_hex(16),
        "span_id": secrets.token_hex(8),
        "name": "annotate",
        "kind": KIND,
        "status": State.FINISHED.value,
        "started_at": now,
        "ended_at": now,
        "generated": {str(key): encode(value) for key, value in said.items()},
        "agent": {"id": by or getpass.getuser(), "type": "person"},
    }
    if start.entity is not None:
        plain["used"] = {TARGET: start.entity.value}
    if start.generator is not None:
        whole = start.generator.plain
        place = {PROV_SOURCE_ROLE: start.entity.role} if start.entity is not None else {}
        says = cast("dict[str, AnyValue]", {PROV_RELATION: RELATION, **place})
        plain["links"] = [{"trace_id": whole["trace_id"], "span_id": whole["span_id"], "attributes": says}]
        for key in ("workflow_id", "workflow_name", "campaign_id"):
            if key in whole:
                cast("dict[str, Any]", plain)[key] = cast("dict[str, Any]", whole)[key]
        plain.setdefault("workflow_id", start.generator.run)
    return plain


def annotations_of(reader: Reader, start: Start) -> list[Annotation]:
    """Return what was said of an activity or a datum, oldest first."""
    found: dict[str, Record] = {}
    if start.generator is not None:
        role = start.entity.role if start.entity is not None else None
        for record in reader.linked([start.generator.id])[start.generator.id]:
            if record.kind == KIND and Annotation(record).role == role:
                found[record.id] = record
    keys = _keys(start.entity.value) if start.entity is not None else []
    for occurrences in reader.used(keys).values():
        found |= {each.record.id: each.record for each in occurrences if each.record.kind == KIND}
    return list(map(Annotation, sorted(found.values(), key=lambda record: (record.plain["started_at"], record.id))))


def annotations_that(reader: Reader, where: Mapping[str, Any]) -> list[Annotation]:
    """Return the annotations that say something, oldest first.

    Args:
        reader: Where to look.
        where: A filter over what is said; its fields are the keys of annotations.

    Raises:
        FilterError: An operator is unknown, or an operand of the wrong type.
    """
    asked = {"$and": [{"kind": KIND}, _of_generated(where)]} if where else {"kind": KIND}
    return list(map(Annotation, reader.find(Query(asked, sort=(("started_at", 1),)))))


def with_annotations(reader: Reader, records: Sequence[Record]) -> list[Record]:
    """Return activities, and behind them what `annotations_about` finds."""
    return [*records, *annotations_about(reader, {record.id for record in records}, lambda: records)]


def annotations_about(reader: Reader, ids: Container[str], records: Callable[[], Iterable[Record]]) -> list[Record]:
    """Return the annotations of activities and of data that they used or generated, oldest first.

    Those that are among the activities are left out.

    Args:
        reader: Has the annotations.
        ids: The activities.
        records: Returns the activities with their data; called only where something is said of data.
    """
    others = [found for found in annotations_that(reader, {}) if found.record.id not in ids]
    wanted = {key for found in others if found.of not in ids for key in found.keys}
    data = chain.from_iterable(map(_data, records())) if wanted else ()
    here = {key for value in data for key in _keys(value) if key in wanted}
    return [found.record for found in others if found.of in ids or not here.isdisjoint(found.keys)]


def _data(record: Record) -> Iterator[AnyValue]:
    for values in (record.plain.get("used", {}), record.plain.get("generated", {})):
        yield from values.values()


def _of_generated(where: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key if key.startswith("$") else f"generated.{key}": list(map(_of_generated, condition))
        if key.startswith("$") and isinstance(condition, list)
        else condition
        for key, condition in where.items()
    }


def _keys(value: AnyValue) -> list[str]:
    return [key for key in (file_key(value), content_key(value)) if key]


def _links(record: Record) -> Iterator[PlainLink]:
    return (link for link in record.plain.get("links", ()) if link.get("attributes", {}).get(PROV_RELATION) == RELATION)
