"""Records that a PROV document of ours carries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from provtel_model.components import Batch, Signal
from provtel_model.errors import MalformedError, UserError
from provtel_model.otlp import decode, encode, from_json, to_object
from provtel_model.record import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.record import PlainRecord

    from provtel_query.prov_import.statements import Instance

PREFIX: Final = "provtel:record_"
"""Attribute of an activity that carries its record as OTLP in JSON; the signal follows."""
ACTIVITIES: Final = "urn:provtel:activity:"


def carried(plain: PlainRecord) -> tuple[str, str]:
    """Return the attribute that carries a record: its name, and its value in ASCII, which every serialisation keeps."""
    (batch,) = encode([plain])
    request = to_object(batch.signal, batch.payload)
    return f"{PREFIX}{batch.signal.value}", json.dumps(request, sort_keys=True, separators=(",", ":"))


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
