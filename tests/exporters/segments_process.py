"""What the tests of segments run as processes: ``python -m tests.exporters.segments_process VERB STORE``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from provtel_exporters.lmdb.network import SegmentReader
from provtel_exporters.lmdb.network.maintenance import compact
from provtel_model.filters import Query

_NOBODY = 65534


def merge(store: Path) -> None:
    """Merge segments until killed; say once that it begins."""
    print("began", flush=True)
    while True:
        compact(store)


def count_as_other(store: Path) -> None:
    """Print how many records another user finds, who may only read; whoever runs the tests without being root is it."""
    if os.geteuid() == 0:
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    reader = SegmentReader(store)
    print(reader.count(Query()))


if __name__ == "__main__":
    {"merge": merge, "count_as_other": count_as_other}[sys.argv[1]](Path(sys.argv[2]))
