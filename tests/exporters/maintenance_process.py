"""What tests of maintenance do in processes of their own: ``VERB FOLDER``."""

from __future__ import annotations

import itertools
import resource
import sys
from pathlib import Path
from typing import Final

from provtel_exporters.lmdb import LmdbWriter
from provtel_exporters.lmdb.maintenance import compact
from provtel_model.errors import StoreError

from tests.exporters.records import numbered

ROUNDS: Final = 40


def compact_for_ever(folder: Path) -> None:
    """Compact until killed; say once that it began."""
    print("began", flush=True)
    while True:
        compact(folder)


def compact_full(folder: Path) -> None:
    """Compact where no file may be larger than 64 KiB, and print why that cannot be."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, resource.RLIM_INFINITY))
    try:
        compact(folder)
    except StoreError as error:
        print(error)


def compact_beside(folder: Path) -> None:
    """Compact until standard input ends, whenever nobody has the store open; print how often it was compacted."""
    import select

    done = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            compact(folder)
            done += 1
        except StoreError as error:
            if "is open in another process" not in str(error):
                raise
    print(done)


def open_and_write(folder: Path) -> None:
    """Open the store again and again, and write a record each time."""
    for number in itertools.islice(itertools.count(1000), ROUNDS):
        writer = LmdbWriter(folder)
        writer.write([numbered(number)])
        writer.close()


if __name__ == "__main__":
    verbs = {verb.__name__: verb for verb in (compact_for_ever, compact_full, compact_beside, open_and_write)}
    verbs[sys.argv[1]](Path(sys.argv[2]))
