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
from provtel_exporters.lmdb.index.block import Block, Entry, block_of, differences, entries_of, merged
from provtel_exporters.lmdb.index.blocks import Blocks
from provtel_exporters.lmdb.parts import KnownParts, Parts
from provtel_exporters.lmdb.rows import entry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import lmdb

T = TypeVar("T")

_MOST_TOLD: Final = 100
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
        self._parts = self._forgetful()

    def at_all(self) -> Verified:
        """Look at records and their index, at data points and log records."""
        self._look_at_blocks()
        self._look_at_observations()
        return self._found

    def _forgetful(self) -> Parts:
        return Parts(self._txn, self._databases, KnownParts())

    def _items(self, database: lmdb._Database) -> Iterator[tuple[bytes, bytes]]:
        with self._txn.cursor(database) as cursor:
            yield from cursor.iternext()

    def _look_at_blocks(self) -> None:
        """Each block leads to rows that decode, and says of them what they say; no row is in none."""
        blocks = Blocks(self._txn, self._databases)
        for block in self._tried(lambda: [*blocks], "the index") or ():
            dead = blocks.dead(block)
            self._parts = self._forgetful()
            living = [block.row(place) for place in range(block.count) if place not in dead]
            entries = [entry for entry in map(self._entry, living) if entry is not None]
            self._found.records += len(entries)
            if living and len(entries) == len(living):
                self._tried(partial(self._compare, block, dead, entries), _named(living))
        held = self._txn.stat(self._databases.rows)["entries"]
        if held != self._found.records and not self._found.damage:
            self._found.tell(f"there are {held} rows, and the index leads to {self._found.records}")

    def _entry(self, row: int) -> Entry | None:
        """Return what the index should say of a row; ``None`` where the row cannot be read."""
        content = self._txn.get(layout.row_key(row), db=self._databases.rows)
        if content is None:
            self._found.tell(f"the index leads to row {row}, which is missing")
            return None
        return self._tried(lambda: entry_of(row, content, self._parts), f"row {row}")

    def _compare(self, block: Block, dead: frozenset[int], entries: Sequence[Entry]) -> None:
        """Note what a block does not say as the rows do."""
        living = merged([block], [dead])
        if living is None:
            return
        self._found.entries += len(memoryview(living.places).cast("B").cast("H")) + len(living.columns)
        for name in differences(living, block_of(entries_of(entries))):
            self._found.tell(f"the index of {_named([entry.row for entry in entries])} is wrong: {name}")

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

    def _tried(self, work: Callable[[], T], what: str) -> T | None:
        """Return what a piece of work returns; where it fails, note what cannot be read."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001  # damaged bytes fail in any way
            self._found.tell(f"{what} cannot be read: {error!r}")
            return None


def _named(rows: Sequence[int]) -> str:
    return f"rows {rows[0]} to {rows[-1]}"
