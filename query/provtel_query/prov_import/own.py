"""Records that a PROV document of ours carries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from provtel_model.components import Batch, Signal
from provtel_model.errors import MalformedError, UserError
from provtel_model.otlp import decode, encode, from_json, to_object
from provtel_model.record import State, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provtel_model.record import PlainRecord

    from provtel_query.prov_import.statements import Instance

PREFIX: Final = "provtel:record_"
"""Attribute of an activity that carries its record as OTLP in JSON; the signal follows."""
_SCOPES: Final = {Signal.TRACES: "scopeSpans", Signal.LOGS: "scopeLogs"}
_ITEMS: Final = {Signal.TRACES: "spans", Signal.LOGS: "logRecords"}
ACTIVITIES: Final = "urn:provtel:activity:"


def carried(plains: Sequence[PlainRecord]) -> list[tuple[str, str]]:
    """Return, for each record, the attribute that carries it: its name, and its value in ASCII, which all forms keep.

    Records of one resource and scope are encoded together, and taken apart again.
    """
    alike: dict[tuple[bool, int, int], list[int]] = {}
    for number, plain in enumerate(plains):
        header = State(plain["status"]).ended, id(plain.get("resource")), id(plain.get("scope"))
        alike.setdefault(header, []).append(number)
    found: dict[int, tuple[str, str]] = {}
    for numbers in alike.values():
        batches = encode([plains[number] for number in numbers])
        found.update(zip(numbers, (text for batch in batches for text in _carrying(batch)), strict=True))
    return [found[number] for number in range(len(plains))]


def _carrying(batch: Batch) -> Iterator[tuple[str, str]]:
    """Yield, for each item of a request of one resource and scope, the attribute that carries it alone."""
    request = to_object(batch.signal, batch.payload)
    ((resource,),) = request.values()
    (scope,) = resource[_SCOPES[batch.signal]]
    for item in scope[_ITEMS[batch.signal]]:
        scope[_ITEMS[batch.signal]] = [item]
        yield f"{PREFIX}{batch.signal.value}", json.dumps(request, sort_keys=True, separators=(",", ":"))


def own_records(instance: Instance) -> Iterator[PlainRecord]:
    """Yield the records that the activities of a document or bundle carry.

    Raises:
        UserError: An activity carries something else, or the record of another.
    """
    for said in instance.of("activity"):
        for signal in Signal:
            for text in said.values(f"{PREFIX}{signal.value}"):
                yield _record(said.id, signal, str(text))


def _record(uri: str, signal: Signal, text: str) -> PlainRecord:
    try:
        (plain,) = decode(Batch(signal, from_json(signal, text.encode()), 1))
    except (ValueError, MalformedError) as error:
        raise UserError(f"activity {uri} carries no record in {PREFIX}{signal.value}: {error}") from error
    if uri != f"{ACTIVITIES}{key_of(plain).id}":
        raise UserError(f"activity {uri} carries the record of another, {key_of(plain).id}")
    return plain
