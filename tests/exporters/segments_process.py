"""What the tests of segments run as processes: ``python -m tests.exporters.segments_process VERB STORE``."""

from __future__ import annotations

import sys
from pathlib import Path

from provtel_exporters.lmdb import open_reader, open_writer
from provtel_exporters.lmdb.network.maintenance import compact
from provtel_model.filters import Query

from tests.exporters.records import numbered


def merge(store: Path) -> None:
    """Merge segments until killed; say once that it begins."""
    print("began", flush=True)
    while True:
        compact(store)


def write(store: Path) -> None:
    """Write ten records."""
    writer = open_writer(str(store))
    for number in range(10):
        writer.write([numbered(number)])


def count(store: Path) -> None:
    """Print how many records there are."""
    reader = open_reader(str(store))
    print(type(reader).__name__, reader.count(Query()))


if __name__ == "__main__":
    {"merge": merge, "write": write, "count": count}[sys.argv[1]](Path(sys.argv[2]))
