"""Activities to ask about: short to write, with ids that tell their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from provtel_model.attributes import PROV_RELATION, PROV_ROLE, PROV_SOURCE_ROLE
from provtel_model.record import PlainLink, record_id
from provtel_model.values import Reference, encode

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainRecord

EPOCH: Final = 1_700_000_000_000_000_000
SECOND: Final = 1_000_000_000
TRACE: Final = "aa" * 16
LARGE: Final = "a text long enough for its equality to mean something"
FLOAT: Final = 0.123456789


def span_of(number: int) -> str:
    """Return the span id of an activity's number."""
    return f"{number:016x}"


def id_of(number: int, trace: str = TRACE) -> str:
    """Return the record id of an activity's number."""
    return record_id(trace, span_of(number))


def activity(
    number: int,
    name: str = "",
    *,
    at: tuple[float, float | None] | None = None,
    used: Mapping[str, object] | None = None,
    generated: Mapping[str, object] | None = None,
    **fields: Any,
) -> PlainRecord:
    """Return a finished task that runs in the second of its number, unless `at` says from when to when it ran."""
    start, end = at or (number, number + 1)
    trace = fields.pop("trace_id", TRACE)
    result: dict[str, Any] = {"trace_id": trace, "span_id": span_of(number), "name": name or f"t{number}"}
    result |= {"kind": "task", "status": "finished", "started_at": EPOCH + int(start * SECOND)}
    if end is not None:
        result["ended_at"] = EPOCH + int(end * SECOND)
    result |= {key: _encoded(values) for key, values in (("used", used), ("generated", generated)) if values}
    if "parent" in fields:
        result["parent_id"] = id_of(fields.pop("parent"), trace)
    return {**result, **fields}  # type: ignore[typeddict-item]  # a test may plant anything


def link(number: int, role: str, source_role: str, relation: str = "declared") -> PlainLink:
    """Return a link that says where the value used in a role came from."""
    says: dict[str, AnyValue] = {PROV_RELATION: relation, PROV_ROLE: role, PROV_SOURCE_ROLE: source_role}
    return {"trace_id": TRACE, "span_id": span_of(number), "attributes": says}


def file(uri: str, digit: str = "1") -> Reference:
    """Return a reference to a file whose hash repeats a digit."""
    return Reference("file", hash="sha256:" + digit * 64, nbytes=1000, uri=uri)


def quickstart() -> list[PlainRecord]:
    """Return the quickstart: two tasks under a workflow that passes the result of the second on."""
    workflow: dict[str, Any] = {"workflow_id": id_of(1), "workflow_name": "main"}
    return [
        activity(1, "main", at=(1, 9), kind="workflow", used={"i1": 3}, generated={"o2": 8}, **workflow),
        activity(2, "sum_one", used={"i1": 3}, generated={"o1": 4}, parent=1, **workflow),
        activity(3, "mult_two", used={"o1": 4}, generated={"o2": 8}, parent=1, **workflow),
    ]


def _encoded(values: Mapping[str, object]) -> dict[str, AnyValue]:
    return {role: encode(value) for role, value in values.items()}
