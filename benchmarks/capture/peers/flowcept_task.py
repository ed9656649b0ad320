"""Flowcept 1.0.3, ``@flowcept_task``, offline: records in a JSON file at the end."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.capture.peers.compare import differences as compare

os.environ["FLOWCEPT_USE_DEFAULT"] = "true"
_FOLDER = Path(tempfile.mkdtemp(prefix="flowcept-benchmark-"))
os.chdir(_FOLDER)

from flowcept import Flowcept, flowcept_task  # noqa: E402  # its settings are read at import

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_run = Flowcept(workflow_name="benchmark")


def start() -> None:
    """Begin its workflow."""
    _run.start()


def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the decorated function."""
    wrapped: Callable[..., Any] = flowcept_task(output_names="o")(function)
    return wrapped


def stop() -> None:
    """End its workflow, which writes the file."""
    _run.stop()


def size() -> int:
    """Return the bytes of its file."""
    return _file().stat().st_size


def differences(expected: Iterable[tuple[str, tuple[Any, ...]]]) -> str:
    """Compare every record of its file."""
    records = [json.loads(line) for line in _file().read_text().splitlines()]
    found = [
        (record["activity_id"], tuple(value for value in record["used"].values() if isinstance(value, int | float)))
        for record in records
        if record["type"] == "task"
    ]
    return compare(expected, found)


def _file() -> Path:
    (path,) = _FOLDER.glob("*.jsonl")
    return path
