"""What a store takes on disk, and giving back what it does not need."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lmdb
from provtel_model.errors import StoreError

from provtel_exporters.lmdb.environment import Environment
from provtel_exporters.lmdb.files import DATA_FILE, LOCK_FILE, environment, open_for_reading, require
from provtel_exporters.lmdb.index.block import ACTIVITY_PART
from provtel_exporters.lmdb.index.blocks import Blocks
from provtel_exporters.lmdb.layout import FORMAT, create, find
from provtel_exporters.lmdb.migration import migrating
from provtel_exporters.lmdb.parts import Parts
from provtel_exporters.lmdb.rows import ACTIVITY
from provtel_exporters.lmdb.runs import runs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_exporters.lmdb.files import Transaction

_COPIES: Final = "compacting-"
_META_PAGES: Final = 2
_AT_ONCE: Final = 50_000
_KIND: Final = ACTIVITY.index("kind")


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a store holds.

    Args:
        records: How many records.
        kinds: How many of each kind.
        runs: How many runs.
        points: How many data points.
        logs: How many log records.
    """

    records: int
    kinds: dict[str, int]
    runs: int
    points: int
    logs: int


@dataclass(frozen=True, slots=True)
class Stats(Holdings):
    """What a store holds, and what it takes.

    Args:
        format: The version of the layout.
        nbytes: What its file takes on disk, in bytes.
        page_size: The size of a page, in bytes.
        pages: How many pages the file has.
        free_pages: How many of them hold nothing: the next writes take them, or `compact` gives them back.
    """

    format: int
    nbytes: int
    page_size: int
    pages: int
    free_pages: int


def stats(folder: Path) -> Stats:
    """Return what a store holds and takes, read from its index alone.

    Args:
        folder: Holds the LMDB files.

    Raises:
        StoreError: There is no store that this user can read.
    """
    with closing(_Opened(folder)) as opened:
        return opened.environment.read(lambda transaction: _stats(transaction, folder))


class _Opened:
    """An environment that is released when this is closed."""

    def __init__(self, folder: Path) -> None:
        self.environment = Environment.acquire(folder, writable=False)

    def close(self) -> None:
        self.environment.release()


def _stats(transaction: Transaction, folder: Path) -> Stats:
    txn, databases = transaction.txn, transaction.databases
    used = [txn.stat()] + [txn.stat(getattr(databases, each.name)) for each in fields(databases)]
    held = sum(stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in used)
    nbytes = (folder / DATA_FILE).stat().st_size
    page_size = used[0]["psize"]
    parts = Parts(txn, databases, transaction.known)
    blocks = Blocks(txn, databases)
    pages = nbytes // page_size
    return Stats(
        records=txn.stat(databases.rows)["entries"],
        kinds=dict(sorted(_kinds(blocks, parts).items())),
        runs=len(_runs(blocks, parts)),
        points=txn.stat(databases.points)["entries"],
        logs=txn.stat(databases.logs)["entries"],
        format=FORMAT,
        nbytes=nbytes,
        page_size=page_size,
        pages=pages,
        free_pages=max(0, pages - _META_PAGES - held),
    )


def _kinds(blocks: Blocks, parts: Parts) -> Counter[str]:
    """Return how many living records there are of each kind."""
    found: Counter[str] = Counter()
    for block in blocks:
        activities = block.columns[ACTIVITY_PART].items()
        counts = Counter(activities)
        counts.subtract(activities[place] for place in blocks.dead(block))
        for number, count in counts.items():
            found[parts[number][_KIND]] += count
    return +found


def _runs(blocks: Blocks, parts: Parts) -> set[str]:
    """Return the runs of all living records."""
    found: set[str] = set()
    for block in blocks:
        runs, dead = runs_of(block, parts), blocks.dead(block)
        found.update(run for place, run in enumerate(runs) if place not in dead) if dead else found.update(runs)
    return found


@dataclass(frozen=True, slots=True)
class Compacted:
    """What `compact` gave back.

    Args:
        before: What the file had, in bytes.
        after: What it has.
    """

    before: int
    after: int


def compact(folder: Path) -> Compacted:
    """Write the files of a store anew without what it does not need, and put them in the place of the old ones.

    Nobody else may have the store open; whoever opens it meanwhile waits. Killed at any moment, or out of space, it
    leaves the store as it was or as it is to be.

    Args:
        folder: Holds the LMDB files.

    Raises:
        StoreError: A process has the store open, or this user may not write it, or the disk has no room for the new
            files beside the old ones; the store is as it was.
    """
    require(folder)
    try:
        open_for_reading(folder).close()  # so that an older format is brought to this one
        # Opened before the lock file is: LMDB's locks are the process's, and to close that file would release them.
        # Where this process has the store open already, py-lmdb refuses.
        with closing(environment(folder, readonly=True, lock=False)) as source, _alone(folder):
            source.set_mapsize(0)
            return _replace(folder, source)
    except (lmdb.Error, OSError) as error:
        needed = (folder / DATA_FILE).stat().st_size
        raise StoreError(
            f"the store {folder} cannot be compacted: {error}; it is as it was; the new file lies beside the old one "
            f"until it is whole, and needs up to {needed} bytes"
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock that LMDB takes to find out whether it is the first to open the files; openers wait for it."""
    with (folder / LOCK_FILE).open("a+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
        except BlockingIOError:
            raise StoreError(
                f"the store {folder} is open in another process, such as a collector or a reader; "
                "end it, and call again"
            ) from None
        yield


def _replace(folder: Path, source: lmdb.Environment) -> Compacted:
    for left in folder.glob(f"{_COPIES}*"):  # by one that was killed
        shutil.rmtree(left, ignore_errors=True)
    before = (folder / DATA_FILE).stat().st_size
    with tempfile.TemporaryDirectory(prefix=_COPIES, dir=folder) as place:
        made = Path(place) / DATA_FILE
        _write_anew(source, folder, Path(place))
        made.chmod(0o600)
        _sync(made)
        made.replace(folder / DATA_FILE)
    _sync(folder)
    source.close()
    # While the lock is ours: LMDB notes anew in the lock file which transaction was the last, before anybody reads it.
    environment(folder, readonly=False, lock=True).close()
    return Compacted(before, (folder / DATA_FILE).stat().st_size)


def _write_anew(source: lmdb.Environment, folder: Path, place: Path) -> None:
    """Write what the databases hold, in their order, into new files.

    LMDB's own compacting copy ends the process by a segmentation fault where values of one size are sorted under a key
    (0.9.36, from a thousand values on).
    """
    held = find(source, folder)
    with closing(environment(place, readonly=False, lock=False)) as target, source.begin() as txn:
        target.set_mapsize(source.info()["map_size"])
        databases = create(target, place, migrating(target))
        for name in (field.name for field in fields(held)):
            _append(txn, getattr(held, name), target, getattr(databases, name))


def _append(txn: lmdb.Transaction[bytes], held: lmdb._Database, target: lmdb.Environment, made: lmdb._Database) -> None:
    with txn.cursor(held) as cursor:
        items = cursor.iternext()
        is_first = True
        while some := list(islice(items, _AT_ONCE)):
            with target.begin(write=True) as writing:
                if is_first:
                    writing.drop(made, delete=False)
                with writing.cursor(made) as writer:
                    writer.putmulti(some, append=True)
            is_first = False


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
