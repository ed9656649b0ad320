"""What lies where in the LMDB files: databases, keys, format version. `docs/adr/005-lmdb-layout.md` says why.

================  ==================================  ======================================================
database          key                                 value
================  ==================================  ======================================================
``meta``          ``format``, ``engine``, ``store``   texts; the last a random name of this store
                  ``next_row``                        6 bytes
                  ``source/`` and a name              nothing: what was taken in, where the store is an index
``rows``          row, 6 bytes                        a record, see `provtel_exporters.lmdb.rows`
``parts``         part, 4 bytes                       what many records share, packed
``part_ids``      digest of a part, 16 bytes          part
``blocks``        row, 6 bytes                        the index of rows from this one on: `index.block`
``dead``          row, 6 bytes                        the places in that block whose rows are gone, 2 bytes each
``points``        time 8, id 16 bytes                 a data point, see `provtel_exporters.lmdb.observations`
``point_lists``   a letter and a digest               time 8, id 16 bytes: sorted, so in order of time
``logs``          time 8, id 16 bytes                 a log record
``log_lists``     a letter and a digest               time 8, id 16 bytes
================  ==================================  ======================================================

Integers in keys are big-endian and unsigned, so that their order is that of their bytes. A row is written once: a
record that changes gets a new row, so rows are also the order of changes. `blocks` and `dead` are derived from `rows`
and `parts`, and the lists from what they lead to.
"""

from __future__ import annotations

import secrets
import struct
import sys
from array import array
from dataclasses import dataclass, fields
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import lmdb
from provtel_model.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from provtel_model.record import PlainRecord

FORMAT: Final = 3
MAX_DATABASES: Final = 32

ROW_BYTES: Final = 6
START_BYTES: Final = 8
IDS_BYTES: Final = 24
"""How long trace id and span id are together, with which `id_key` begins."""

_DIGEST: Final = 16
_ROW_KEYS: Final = struct.Struct("2x6s")
_FORMAT: Final = b"format"
_NEXT_ROW: Final = b"next_row"
_STORE: Final = b"store"
_SOURCE: Final = b"source/"


@dataclass(frozen=True, slots=True)
class Databases:
    """The named databases of a store."""

    meta: lmdb._Database
    rows: lmdb._Database
    parts: lmdb._Database
    part_ids: lmdb._Database
    blocks: lmdb._Database
    dead: lmdb._Database
    points: lmdb._Database
    point_lists: lmdb._Database
    logs: lmdb._Database
    log_lists: lmdb._Database


_NAMES: Final = tuple(field.name for field in fields(Databases))
_SORTED: Final = frozenset({"point_lists", "log_lists"})


class OldFormatError(Exception):
    """The files are of an older format, and are to be opened for writing before they can be read."""


def create(
    env: lmdb.Environment, folder: Path, migrate: Callable[[lmdb.Transaction[Any], Databases], None]
) -> Databases:
    """Return the databases of a store that is open for writing; they are made where the files are new.

    Args:
        env: The environment.
        folder: Where it is, for errors.
        migrate: Called where the files are of an older format: brings them to this one, in the same transaction.

    Raises:
        StoreError: The files are of a newer format, or no store.
    """
    with env.begin(write=True) as txn:
        is_new = txn.stat()["entries"] == 0
        databases = Databases(*(_open(env, name, txn) for name in _NAMES))
        if is_new:
            txn.put(b"engine", _engine().encode(), db=databases.meta)
            txn.put(_STORE, secrets.token_hex(4).encode(), db=databases.meta)
        elif _format(txn.get(_FORMAT, db=databases.meta), folder) < FORMAT:  # what it refuses is not committed
            migrate(txn, databases)
            txn.put(_STORE, secrets.token_hex(4).encode(), db=databases.meta, overwrite=False)  # format 1 had no name
        txn.put(_FORMAT, b"%d" % FORMAT, db=databases.meta)
        return databases


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


def _open(env: lmdb.Environment, name: str, txn: lmdb.Transaction[Any] | None = None) -> lmdb._Database:
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


def next_row(txn: lmdb.Transaction[Any], databases: Databases) -> int:
    """Return the number of the next row; numbers are never used again."""
    return int.from_bytes(txn.get(_NEXT_ROW, b"\0", db=databases.meta), "big")


def put_next_row(txn: lmdb.Transaction[Any], databases: Databases, number: int) -> None:
    """Write down the number of the next row."""
    txn.put(_NEXT_ROW, row_key(number), db=databases.meta)


def name_of_store(txn: lmdb.Transaction[Any], databases: Databases) -> str:
    """Return the random name that tells this store from others."""
    return bytes(txn.get(_STORE, b"", db=databases.meta)).decode()


def sources(txn: lmdb.Transaction[Any], databases: Databases) -> set[str]:
    """Return the names of what was taken in."""
    found = set()
    with txn.cursor(databases.meta) as cursor:
        cursor.set_range(_SOURCE)
        for key in map(bytes, cursor.iternext(keys=True, values=False)):
            if not key.startswith(_SOURCE):
                break
            found.add(key.removeprefix(_SOURCE).decode())
    return found


def note_sources(txn: lmdb.Transaction[Any], databases: Databases, names: Iterable[str], gone: Iterable[str]) -> None:
    """Note the names of what was taken in, and forget some of them."""
    for name in names:
        txn.put(_SOURCE + name.encode(), b"", db=databases.meta)
    for name in gone:
        txn.delete(_SOURCE + name.encode(), db=databases.meta)


def row_key(number: int) -> bytes:
    """Return the key of a row."""
    return number.to_bytes(ROW_BYTES, "big")


def row_keys(numbers: range) -> Iterator[bytes]:
    """Return the key of each row."""
    packed = array("Q", numbers)
    if sys.byteorder == "little":
        packed.byteswap()
    return chain.from_iterable(_ROW_KEYS.iter_unpack(packed))


def id_key(plain: PlainRecord) -> bytes:
    """Return what makes two copies the same record: trace id, span id and start.

    Raises:
        ValueError: An id is no hexadecimal text of its length, or the start lies outside 64 bits.
    """
    trace_id, span_id, start = plain["trace_id"], plain["span_id"], plain["started_at"]
    key = bytes.fromhex(trace_id + span_id) + start.to_bytes(START_BYTES, "big")
    if len(span_id) != 16 or key[:24].hex() != trace_id + span_id:  # noqa: PLR2004
        msg = f"trace id {trace_id!r} and span id {span_id!r} are not 32 and 16 lower-case hexadecimal digits"
        raise ValueError(msg)
    return key


def digest(text: str) -> bytes:
    """Return what stands for a text in the keys of lists."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=_DIGEST).digest()
