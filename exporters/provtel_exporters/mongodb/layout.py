"""What lies where in a MongoDB database: collections, indexes, format version.

============  =====================================================  ============================================
collection    ``_id``                                                holds
============  =====================================================  ============================================
``records``   trace id, span id and start in hexadecimal             a record, see `provtel_exporters.mongodb.documents`
``points``    `provtel_model.telemetry.observation_id`               a data point of a metric
``logs``      the same                                               a log record
``parts``     that of the document, field, digest, number            8 MiB of what is too large for its document
``writers``   16 hexadecimal digits                                  a line of writes, see `Line`
``meta``      ``format``                                             the format version
============  =====================================================  ============================================

What is ours in a document, and no part of the record, is under ``provtel``: ``by``, ``batch`` and ``number`` say by
which line, in which of its batches and at which place in it the document was written; ``used`` and ``generated`` are
numbers of data keys, ``linked`` the ids that links name, ``records`` those that a log record or an exemplar names;
``exact`` has the fields that a document cannot hold as they are.

`INDEXES` serve the questions of `provtel_model.components.Reader`: a page of all records or of those of a run, a
campaign, a name, a kind or a status, in order of start, oldest or newest first; one record by its id, or by the first
digits of its span id, which a person types; the children of a record; who used, generated or linked to something; what
a line wrote since. What is in a trace is found by ``_id``, which begins with it, and what is in a workflow by ``run``,
which is the same. Data points and log records are found by time, by name and time, by process and time, and by the
record that they name and time. An index ends with the time, and not with ``_id`` after it: so it is smaller, and serves
both directions; readers put in order what has the same time.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from provtel_model.compiled import load
from provtel_model.dataflow import CONTENT, data_keys, name_key, scalar_digest
from provtel_model.hashing import SHA256_PREFIX
from provtel_model.record import Key, PlainRecord, key_of, record_id, run_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.anyvalue import AnyValue

FORMAT: Final = 1
FORMAT_ID: Final = "format"

RECORDS: Final = "records"
POINTS: Final = "points"
LOGS: Final = "logs"
PARTS: Final = "parts"
WRITERS: Final = "writers"
META: Final = "meta"

OURS: Final = "provtel"
BY: Final = f"{OURS}.by"
BATCH: Final = f"{OURS}.batch"
NUMBER: Final = f"{OURS}.number"
USED: Final = f"{OURS}.used"
GENERATED: Final = f"{OURS}.generated"
LINKED: Final = f"{OURS}.linked"
NAMED: Final = f"{OURS}.records"
EXACT: Final = f"{OURS}.exact"

compiled: Final = load("provtel_exporters.mongodb._encode")
"""What makes most documents and their ids, where it was compiled."""

_START: Final = ("started_at", -1)
_TIME: Final = ("time", 1)
_OBSERVED: Final[tuple[tuple[tuple[str, int], ...], ...]] = (
    (_TIME,),
    (("name", 1), _TIME),
    (("host", 1), ("pid", 1), _TIME),
    ((NAMED, 1), _TIME),
)
INDEXES: Final[Mapping[str, tuple[tuple[tuple[str, int], ...], ...]]] = {
    RECORDS: (
        (_START,),
        *(((field, 1), _START) for field in ("run", "campaign_id", "name", "kind", "status")),
        (("id", 1),),
        (("span_id", 1),),
        (("parent_id", 1),),
        ((USED, 1),),
        ((GENERATED, 1),),
        ((LINKED, 1),),
        ((BY, 1), (BATCH, 1), (NUMBER, 1)),
    ),
    POINTS: _OBSERVED,
    LOGS: _OBSERVED,
    PARTS: ((("of", 1),),),
}
"""The indexes of each collection beside that of ``_id``, each its fields and directions."""

INDEX_SET: Final = 2
"""Which indexes these are; a store that has a lower number, or none, is given them when it is next written to."""

FORMER_INDEXES: Final[Mapping[str, frozenset[str]]] = {
    RECORDS: frozenset(
        {"started_at_-1__id_1", *(f"{field}_1_started_at_-1__id_1" for field in ("run", "name", "kind", "status"))}
    ),
    POINTS: frozenset({"time_1__id_1", f"{NAMED}_1"}),
    LOGS: frozenset({"time_1__id_1", f"{NAMED}_1"}),
}
"""Names of the indexes that lower sets had and this one has not."""

_START_DIGITS: Final = 16
_LAST_START: Final = 2**64 - 1


def document_id(plain: PlainRecord) -> str:
    """Return the ``_id`` of a record: texts that sort as ids, then starts do.

    Raises:
        ValueError: An id is no hexadecimal text of its length, or the start lies outside 64 bits.
    """
    if compiled is not None:
        known: str | None = compiled.document_id(plain)
        if known is not None:
            return known
    key = key_of(plain)
    if not 0 <= key.started_at <= _LAST_START:
        raise ValueError(f"the start {key.started_at} lies outside 64 bits")
    trace_id, span_id = plain["trace_id"], plain["span_id"]
    ids = bytes.fromhex(trace_id + span_id)
    if len(span_id) != 16 or len(ids) != 24 or ids.hex() != trace_id + span_id:  # noqa: PLR2004
        raise ValueError(
            f"trace id {trace_id!r} and span id {span_id!r} are not 32 and 16 lower-case hexadecimal digits"
        )
    return id_of(key)


def id_of(key: Key) -> str:
    """Return the ``_id`` of the record with a key."""
    return f"{key.id}-{key.started_at:0{_START_DIGITS}x}"


def linked_ids(plain: PlainRecord) -> list[str]:
    """Return the ids that the links of a record name."""
    return sorted({record_id(link["trace_id"], link["span_id"]) for link in plain.get("links", ())})


def key_number(data_key: str) -> int:
    """Return the number by which a key of `provtel_model.dataflow` is indexed; readers compare the key itself."""
    group, _, end = data_key.rpartition(":")
    try:
        number = int(end[-16:], 16)  # most end with a hash; its end is as good as a hash of it
    except ValueError:
        number = _digest(end)
    return (number ^ _group(group)) - 2**63


def key_numbers(plain: PlainRecord, values: Mapping[str, AnyValue]) -> list[int]:
    """Return `key_number` of every key of some values of a record, each once."""
    run = run_of(plain)
    numbers: dict[int, None] = {}
    for role, value in values.items():
        scalar = scalar_digest(value)
        if scalar is None:
            numbers |= dict.fromkeys(member_numbers(plain, role, value))
            continue
        digest, has_content_key = scalar
        number = int.from_bytes(digest[-8:], "big")
        numbers[(number ^ name_group(run, role)) - 2**63] = None
        if has_content_key:
            numbers[(number ^ CONTENT_GROUP) - 2**63] = None
    return [*numbers]


def member_numbers(plain: PlainRecord, role: str, value: AnyValue) -> list[int]:
    """Return `key_number` of every key of one value of a record, in order."""
    return sorted({key_number(key) for key, _ in data_keys(plain, {role: value})})


@lru_cache(maxsize=4096)
def name_group(run: str, role: str) -> int:
    """Return what is the same in the numbers of all keys by name of a role within a run."""
    return _group(name_key(run, role, None).rpartition(":")[0])


@lru_cache(maxsize=4096)
def _group(prefix: str) -> int:
    return _digest(prefix)


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


CONTENT_GROUP: Final = _group(f"{CONTENT}:{SHA256_PREFIX.rstrip(':')}")
"""What is the same in the numbers of all keys by content."""


def is_later(found: object) -> bool:
    """Say whether a format that was found is one that this version does not know."""
    return not isinstance(found, int) or found > FORMAT
