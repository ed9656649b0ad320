"""What lies where in the LMDB files: databases, keys, format version. `docs/adr/005-lmdb-layout.md` says why.

================  ==================================  ======================================================
database          key                                 value
================  ==================================  ======================================================
``meta``          ``format``, ``engine``, ``store``   texts; the last a random name of this store
                  ``next_row``                        6 bytes
``rows``          row, 6 bytes                        a record, see `provtel_exporters.lmdb.rows`
``ids``           trace id 16, span id 8, start 8     row
``parts``         part, 4 bytes                       what many records share, packed
``part_ids``      digest of a part, 16 bytes          part
``postings``      a letter and a digest               start 8 bytes, row: sorted, so in order of time
``points``        time 8, id 16 bytes                 a data point, see `provtel_exporters.lmdb.observations`
``point_lists``   a letter and a digest               time 8, id 16 bytes: sorted, so in order of time
``logs``          time 8, id 16 bytes                 a log record
``log_lists``     a letter and a digest               time 8, id 16 bytes
================  ==================================  ======================================================

Integers are big-endian and unsigned, so that their order is that of their bytes. A row is written once: a record that
changes gets a new row, so rows are also the order of changes. Everything but `rows` and `parts` is derived from them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, fields
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import lmdb
from provtel_model.dataflow import data_keys
from provtel_model.errors import StoreError
from provtel_model.record import PlainRecord, record_id, run_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT: Final = 2
MAX_DATABASES: Final = 32

ROW_BYTES: Final = 6
START_BYTES: Final = 8

EVERYTHING: Final = b"*"
"""The key of the posting list that holds every record."""

TERMS: Final[Mapping[str, bytes]] = {"run": b"r", "name": b"n", "kind": b"k", "status": b"s", "parent_id": b"p"}
"""The letters of the fields whose every value has a posting list."""

GENERATED: Final = b"g"
USED: Final = b"u"

_LINKED: Final = b"l"

_TERM_DIGEST: Final = 16  # collisions are out of the question: counts are taken from posting lists unread
_DATA_DIGEST: Final = 8  # readers compare the datum itself
_GROUP_DIGEST: Final = 4  # of run and role, which so lie close together on disk
_FORMAT: Final = b"format"
_NEXT_ROW: Final = b"next_row"
_STORE: Final = b"store"


@dataclass(frozen=True, slots=True)
class Databases:
    """The named databases of a store."""

    meta: lmdb._Database
    rows: lmdb._Database
    ids: lmdb._Database
    parts: lmdb._Database
    part_ids: lmdb._Database
    postings: lmdb._Database
    points: lmdb._Database
    point_lists: lmdb._Database
    logs: lmdb._Database
    log_lists: lmdb._Database


_NAMES: Final = tuple(field.name for field in fields(Databases))
_SORTED: Final = frozenset({"postings", "point_lists", "log_lists"})


class OldFormatError(Exception):
    """The files are of an older format, and are to be opened for writing before they can be read."""


def create(env: lmdb.Environment, folder: Path) -> Databases:
    """Return the databases of a store that is open for writing; made where the files are new, migrated where old.

    Raises:
        StoreError: The files are of a newer format, or no store.
    """
    with env.begin(write=True) as txn:
        is_new = txn.stat()["entries"] == 0
        databases = Databases(*(_open(env, name, txn) for name in _NAMES))
        if is_new:
            txn.put(_FORMAT, b"%d" % FORMAT, db=databases.meta)
            txn.put(b"engine", _engine().encode(), db=databases.meta)
            txn.put(_STORE, secrets.token_hex(4).encode(), db=databases.meta)
        elif _format(txn.get(_FORMAT, db=databases.meta), folder) < FORMAT:  # what it refuses is not committed
            _migrate(txn, databases)
        return databases


def _migrate(txn: lmdb.Transaction[bytes], databases: Databases) -> None:
    """Bring files of format 1 to this one: it had neither observations nor a name."""
    txn.put(_STORE, secrets.token_hex(4).encode(), db=databases.meta)
    txn.put(_FORMAT, b"%d" % FORMAT, db=databases.meta)


def find(env: lmdb.Environment, folder: Path) -> Databases:
    """Return the databases of a store that is open for reading.

    Raises:
        OldFormatError: The files are of an older format.
        StoreError: The files are of a newer format, or no store.
    """
    # Without a transaction of ours: py-lmdb aborts one that only reads, and closes the databases opened in it.
    try:
        meta = _open(env, "meta")
        with env.begin() as txn:
            if _format(txn.get(_FORMAT, db=meta), folder) < FORMAT:
                raise OldFormatError
        return Databases(*(_open(env, name) for name in _NAMES))
    except lmdb.NotFoundError:
        raise _foreign(folder) from None


def _open(env: lmdb.Environment, name: str, txn: lmdb.Transaction[bytes] | None = None) -> lmdb._Database:
    """Open a database; in a write transaction it is made where it is missing."""
    is_sorted = name in _SORTED
    return env.open_db(name.encode(), txn, create=txn is not None, dupsort=is_sorted, dupfixed=is_sorted)


def _format(found: bytes | None, folder: Path) -> int:
    """Return the format that files say they have, as far as this version knows it."""
    if found is None:
        raise _foreign(folder)
    if int(found) > FORMAT:
        raise StoreError(
            f"the store {folder} has format {int(found)}, and this provtel reads formats up to {FORMAT}; "
            "upgrade provtel, or name another store"
        )
    return int(found)


def _foreign(folder: Path) -> StoreError:
    return StoreError(f"{folder} holds LMDB files that are no store of provtel; name another store")


def _engine() -> str:
    major, minor, _ = lmdb.version()
    return f"lmdb {major}.{minor}"


def next_row(txn: lmdb.Transaction[bytes], databases: Databases) -> int:
    """Return the number of the next row; numbers are never used again."""
    return int.from_bytes(txn.get(_NEXT_ROW, b"\0", db=databases.meta), "big")


def put_next_row(txn: lmdb.Transaction[bytes], databases: Databases, number: int) -> None:
    """Write down the number of the next row."""
    txn.put(_NEXT_ROW, number.to_bytes(ROW_BYTES, "big"), db=databases.meta)


def name_of_store(txn: lmdb.Transaction[bytes], databases: Databases) -> str:
    """Return the random name that tells this store from others."""
    return txn.get(_STORE, b"", db=databases.meta).decode()


def id_key(plain: PlainRecord) -> bytes:
    """Return the key of a record in `ids`.

    Raises:
        ValueError: An id is no hexadecimal text of its length, or the start lies outside 64 bits.
    """
    trace_id, span_id, start = plain["trace_id"], plain["span_id"], plain["started_at"]
    key = bytes.fromhex(trace_id + span_id) + start.to_bytes(START_BYTES, "big")
    if len(span_id) != 16 or key[:24].hex() != trace_id + span_id:  # noqa: PLR2004
        msg = f"trace id {trace_id!r} and span id {span_id!r} are not 32 and 16 lower-case hexadecimal digits"
        raise ValueError(msg)
    return key


def posting(start: int, row: bytes) -> bytes:
    """Return the entry of a row in a posting list."""
    return start.to_bytes(START_BYTES, "big") + row


@lru_cache(maxsize=4096)
def term_key(field: str, text: str) -> bytes:
    """Return the key of the posting list of a field's value."""
    return TERMS[field] + digest(text)


def link_key(record_id: str) -> bytes:
    """Return the key of the posting list of the records that have a link to another."""
    return _LINKED + digest(record_id)


def digest(text: str) -> bytes:
    """Return what stands for a text in the keys of lists."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=_TERM_DIGEST).digest()


def data_key(letter: bytes, key: str) -> bytes:
    """Return the key of the posting list of a data key.

    Args:
        letter: `GENERATED` or `USED`.
        key: A key of `provtel_model.dataflow`. What precedes its hash decides where its list lies.
    """
    try:
        digest = bytes.fromhex(key[-2 * _DATA_DIGEST :])  # most end with a hash; its end is as good as a hash of it
    except ValueError:
        digest = blake2b(key.encode(), digest_size=_DATA_DIGEST).digest()
    return letter + _group(key.rsplit(":", 2)[0]) + digest


@lru_cache(maxsize=4096)
def _group(prefix: str) -> bytes:
    return blake2b(prefix.encode(), digest_size=_GROUP_DIGEST).digest()


def posting_keys(plain: PlainRecord) -> set[bytes]:
    """Return the keys of every posting list that a record belongs to."""
    keys = {EVERYTHING, term_key("run", run_of(plain))}
    for field in ("name", "kind", "status", "parent_id"):
        if field in plain:
            keys.add(term_key(field, plain[field]))
    keys.update(link_key(record_id(link["trace_id"], link["span_id"])) for link in plain.get("links", ()))
    for letter, values in ((GENERATED, plain.get("generated")), (USED, plain.get("used"))):
        if values:
            keys.update(data_key(letter, key) for key, _ in data_keys(plain, values))
    return keys
