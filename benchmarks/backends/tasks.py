"""The same tasks for everybody: three inputs, two outputs, what each cost; as OTLP, and as messages of Flowcept's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from provtel_model.attributes import SCOPE_NAME
from provtel_model.otlp import encode
from provtel_model.record import PlainRecord

BATCH: Final = 512
_TRACE: Final = "5" * 32
_BEGIN: Final = 1_790_000_000_000_000_000
_RESOURCE: Final[dict[str, Any]] = {
    "service.name": "benchmark",
    "host.name": "node01",
    "process.pid": 4711,
    "process.runtime.name": "cpython",
    "process.runtime.version": "3.11.7",
    "telemetry.sdk.name": "provtel",
    "telemetry.sdk.language": "python",
    "os.type": "linux",
}


def _figures(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    used = {"rate": number / 7, "epochs": number % 50, "optimizer": f"adam {number % 9}"}
    return used, {"loss": number / 3, "best": number % 2 == 0}


def record(number: int) -> PlainRecord:
    """Return a task as a record of ours."""
    used, generated = _figures(number)
    plain = {
        "trace_id": _TRACE,
        "span_id": f"{number + 2:016x}",
        "parent_id": f"{_TRACE}-{1:016x}",
        "workflow_id": f"{_TRACE}-{1:016x}",
        "kind": "task",
        "name": f"train {number % 7}",
        "status": "finished",
        "started_at": _BEGIN + number * 1000,
        "ended_at": _BEGIN + number * 1000 + 500,
        "used": used,
        "generated": generated,
        "telemetry": {"cpu.user": 0.001, "cpu.system": 0.0002},
        "resource": _RESOURCE,
        "scope": {"name": SCOPE_NAME},
    }
    return cast("PlainRecord", plain)


def message(number: int) -> dict[str, Any]:
    """Return the same task as a message of Flowcept's."""
    used, generated = _figures(number)
    begin = (_BEGIN + number * 1000) / 1e9
    return {
        "type": "task",
        "task_id": f"{_BEGIN + number}",
        "workflow_id": _TRACE,
        "parent_task_id": "1",
        "activity_id": f"train {number % 7}",
        "status": "FINISHED",
        "started_at": begin,
        "ended_at": begin + 5e-7,
        "used": used,
        "generated": generated,
        "telemetry_at_start": {"cpu": {"times_avg": {"user": 1.0, "system": 0.2}}},
        "telemetry_at_end": {"cpu": {"times_avg": {"user": 1.001, "system": 0.2002}}},
        "hostname": "node01",
        "login_name": "me",
    }


def requests(count: int) -> Iterator[bytes]:
    """Yield the OTLP requests of so many tasks."""
    for start in range(0, count, BATCH):
        plains = [record(number) for number in range(start, min(start + BATCH, count))]
        yield from (batch.payload for batch in encode(plains))


def write_messages(file: Path, count: int) -> None:
    """Write the messages of so many tasks, a batch a line."""
    with file.open("w") as out:
        for start in range(0, count, BATCH):
            out.write(json.dumps([message(number) for number in range(start, min(start + BATCH, count))]) + "\n")
