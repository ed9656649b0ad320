"""What the tests of the LMDB environment run as processes: ``python -m tests.exporters.lmdb_process VERB FOLDER``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import lmdb
from provtel_exporters.lmdb import LmdbWriter, environment

from tests.exporters.records import numbered


def grow(folder: Path) -> None:
    """Fill a store until its map has grown twice; print how large it is."""
    writer, number = LmdbWriter(folder), 0
    size = (folder / "data.mdb").stat().st_size
    while (folder / "data.mdb").stat().st_size < size + 3 * 2**20:
        writer.write([numbered(number + i, attributes={"filler": "x" * 900}) for i in range(100)])
        number += 100
    print(number)


def write_thrice(folder: Path) -> None:
    """Commit three transactions, each of which writes a record anew."""
    writer = LmdbWriter(folder)
    for number in range(1000, 1003):
        writer.write([numbered(number, attributes={"written": time.time_ns()})])


def hold_a_reader(folder: Path) -> None:
    """Begin to read, say so, and wait to be killed."""
    env = lmdb.Environment(str(folder), readonly=True, max_dbs=32, map_size=0)
    with env.begin():
        print("reading", flush=True)
        sys.stdin.read()


def fork(folder: Path) -> None:
    """Fork beside an open store; fail where either side still has the files open then."""
    writer = LmdbWriter(folder)
    child = os.fork()
    (opened,) = environment._registry.values()
    is_closed = opened._files is None
    writer.write([numbered(5 if child else 6)])
    if not child:
        os._exit(0 if is_closed else 1)
    sys.exit(0 if is_closed and os.waitpid(child, 0)[1] == 0 else 1)


if __name__ == "__main__":
    verbs = {"grow": grow, "write_thrice": write_thrice, "hold_a_reader": hold_a_reader, "fork": fork}
    verbs[sys.argv[1]](Path(sys.argv[2]))
