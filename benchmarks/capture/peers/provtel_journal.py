"""provtel, records in its journal on disk, default telemetry."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.capture.peers.compare import differences as compare

_FOLDER = tempfile.mkdtemp(prefix="provtel-benchmark-")
os.environ["PROVTEL_STORE"] = _FOLDER

import provtel  # noqa: E402  # the store is named before anything is captured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_bytes = 0


def start() -> None:
    """Nothing has to be started."""


def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the decorated function."""
    return provtel.task(outputs="o")(function)


def stop() -> None:
    """Nothing has to be stopped: what was recorded is in the file."""


def size() -> int:
    """Return the bytes of the journal before it was drained."""
    return _bytes


def differences(expected: Iterable[tuple[str, tuple[Any, ...]]]) -> str:
    """Drain the journal into the store and compare every record."""
    global _bytes  # noqa: PLW0603  # what is measured must be read before the drain removes it
    _bytes = written()
    with provtel.connect(_FOLDER) as store:
        records = store.tasks(all_runs=True, limit=None)
        found = [
            (record.name, tuple(value for value in record.used.values() if isinstance(value, int | float)))
            for record in records
        ]
    return compare(expected, found)


def written() -> int:
    """Return the bytes that the frames of this process's journal take, without what is preallocated."""
    return sum(segment_bytes(path) for path in Path(_FOLDER).glob("journal/*/*.seg"))


def segment_bytes(path: Path) -> int:
    """Return the length of a segment up to its last byte that is not zero."""
    return len(path.read_bytes().rstrip(b"\0"))
