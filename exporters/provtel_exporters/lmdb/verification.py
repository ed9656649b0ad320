"""Looking for damage: in the pages of the file, and in what its indexes and rows say of each other."""

from __future__ import annotations

import mmap
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from provtel_model.errors import StoreError

from provtel_exporters.lmdb import layout, observations
from provtel_exporters.lmdb.environment import Environment
from provtel_exporters.lmdb.files import DATA_FILE, Transaction, require
from provtel_exporters.lmdb.layout import ROW_BYTES, START_BYTES
from provtel_exporters.lmdb.parts import KnownParts, Parts
from provtel_exporters.lmdb.rows import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import lmdb
    from provtel_model.record import PlainRecord

T = TypeVar("T")

_MOST_TOLD: Final = 100
_AT_ONCE: Final = 10_000  # rows, after which the parts that were seen are forgotten: they are bounded by it
_TRIES: Final = 3
_COUNTER: Final = re.compile(r" DB: walked \d+ (branch|leaf) pages ")
"""What py-lmdb says of counts that nothing relies on; LMDB 0.9.36 miscounts where sorted values are deleted."""


@dataclass(slots=True)
class Verified:
    """What a look at a store found.

    Args:
        records: How many records were read.
        entries: How many entries of indexes were followed.
        observations: How many data points and log records were read.
        pages: Whether the pages of the file were looked at; only newer versions of py-lmdb can.
        damage: What is damaged, the first hundred of it.
        more: How much more there is.
    """

    records: int = 0
    entries: int = 0
    observations: int = 0
    pages: bool = False
    damage: list[str] = field(default_factory=list)
    more: int = 0

    def tell(self, what: str) -> None:
        """Note a damage."""
        if len(self.damage) < _MOST_TOLD:
            self.damage.append(what)
        else:
            self.more += 1


def verify(folder: Path) -> Verified:
    """Look at all of a store, beside whoever reads and writes it; nothing is changed.

    The pages come first. Where they are damaged the rest is not looked at: to follow them could end the process.

    Args:
        folder: Holds the LMDB files.

    Raises:
        StoreError: There is no store that this user can read, or it changes faster than it can be copied.
    """
    require(folder)
    pages = _damaged_pages(folder)
    if pages:
        found = Verified(pages=True)
        for problem in pages:
            found.tell(problem)
        return found
    environment = Environment.acquire(folder, writable=False)
    try:
        found = environment.read(lambda transaction: _Look(transaction).at_all())
    finally:
        environment.release()
    found.pages = pages is not None
    return found


def _damaged_pages(folder: Path) -> list[str] | None:
    """Return what is wrong with the pages of the file; ``None`` where py-lmdb cannot tell."""
    try:
        from lmdb import verify as verifier
    except ImportError:
        return None
    try:
        for _ in range(_TRIES):
            with tempfile.TemporaryDirectory(prefix="provtel-verify-") as place:
                before = _header(folder)
                found = _told_of(verifier, folder / DATA_FILE)
                if not found or _header(folder) == before:
                    return found
                # Whoever writes changed it under the look: a copy is whole where nothing was written while it was made.
                before = _header(folder)
                shutil.copyfile(folder / DATA_FILE, Path(place) / DATA_FILE)
                if _header(folder) == before:
                    return _told_of(verifier, Path(place) / DATA_FILE)
    except verifier.VerifyError as error:
        return [str(error)]
    except OSError as error:
        raise StoreError(f"the store {folder} cannot be read: {error.strerror}") from error
    raise StoreError(f"the store {folder} is written faster than it can be verified; stop its writers and try again")


def _told_of(verifier: Any, file: Path) -> list[str]:
    return [problem for problem in verifier.verify(str(file)) if not _COUNTER.search(problem)]


def _header(folder: Path) -> bytes:
    """Return the two pages that every commit changes one of."""
    with (folder / DATA_FILE).open("rb") as file:
        return file.read(2 * mmap.PAGESIZE)


class _Look:
    """One look at what a transaction sees."""

    def __init__(self, transaction: Transaction) -> None:
        self._txn = transaction.txn
        self._databases = transaction.databases
        self._transaction = transaction
        self._found = Verified()
        self._expected = 0
        self._parts = self._forgetful()

    def at_all(self) -> Verified:
        """Look at records and their indexes, at data points and log records."""
        self._look_at_rows()
        self._look_at_ids()
        self._look_at_postings()
        self._look_at_observations()
        return self._found

    def _forgetful(self) -> Parts:
        return Parts(self._txn, self._databases, KnownParts())

    def _items(self, database: lmdb._Database) -> Iterator[tuple[bytes, bytes]]:
        with self._txn.cursor(database) as cursor:
            yield from cursor.iternext()

    def _look_at_rows(self) -> None:
        """Each row decodes, and every index that should lead to it does."""
        with self._txn.cursor(self._databases.postings) as postings:
            for row, content in self._items(self._databases.rows):
                plain = self._decoded(row, content)
                if plain is None:
                    continue
                self._found.records += 1
                if self._txn.get(layout.id_key(plain), db=self._databases.ids) != row:
                    self._found.tell(f"{_named(row)} is not found by its id {plain['trace_id']}-{plain['span_id']}")
                entry = layout.posting(plain["started_at"], row)
                for name in layout.posting_keys(plain):
                    self._expected += 1
                    if not postings.set_key_dup(name, entry):
                        self._found.tell(f"{_named(row)} is missing from the list {name.hex()}")

    def _look_at_ids(self) -> None:
        """Each id leads to a row of this id."""
        for key, row in self._items(self._databases.ids):
            self._found.entries += 1
            if self._txn.get(row, db=self._databases.rows) is None:
                self._found.tell(f"the id {key.hex()} leads to {_named(row)}, which is missing")
        self._look_for_more(self._databases.ids, "ids", self._txn.stat(self._databases.rows)["entries"])

    def _look_at_postings(self) -> None:
        """Each entry of a list leads to a row, and there are no more than the rows belong to."""
        for name, entry in self._items(self._databases.postings):
            self._found.entries += 1
            row = entry[START_BYTES:]
            if self._txn.get(row, db=self._databases.rows) is None:
                self._found.tell(f"the list {name.hex()} leads to {_named(row)}, which is missing")
        self._look_for_more(self._databases.postings, "entries of lists", self._expected)

    def _look_for_more(self, database: lmdb._Database, what: str, expected: int) -> None:
        """Note where an index says more than the rows do; each row was found in it before, or that was told."""
        count = self._txn.stat(database)["entries"]
        if count > expected and not self._found.damage:
            self._found.tell(f"there are {count} {what}, and the rows account for {expected}")

    def _look_at_observations(self) -> None:
        """Look at data points and log records."""
        held = self._databases
        points = observations.points(self._transaction, self._parts)
        self._look_at("data point", points.plain, held.points, held.point_lists)
        logs = observations.logs(self._transaction, self._parts)
        self._look_at("log record", logs.plain, held.logs, held.log_lists)

    def _look_at(
        self, what: str, plain: Callable[[bytes], object], kept: lmdb._Database, lists: lmdb._Database
    ) -> None:
        """Each observation decodes, and each entry of a list leads to one."""
        for key, _ in self._items(kept):
            if self._tried(partial(plain, key), f"the {what} {key.hex()}") is not None:
                self._found.observations += 1
        for name, key in self._items(lists):
            self._found.entries += 1
            if self._txn.get(key, db=kept) is None:
                self._found.tell(f"the list {name.hex()} leads to the {what} {key.hex()}, which is missing")

    def _decoded(self, row: bytes, content: bytes) -> PlainRecord | None:
        if self._found.records % _AT_ONCE == 0:
            self._parts = self._forgetful()
        return self._tried(lambda: decode(content, self._parts), _named(row))

    def _tried(self, work: Callable[[], T], what: str) -> T | None:
        """Return what a piece of work returns; where it fails, note what cannot be read."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001  # damaged bytes fail in any way
            self._found.tell(f"{what} cannot be read: {error!r}")
            return None


def _named(row: bytes) -> str:
    return f"row {int.from_bytes(row[:ROW_BYTES], 'big')}"
