"""Flowcept 1.0.3: offline, with records in a JSON file at the end; and online, with records in Redis at once."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.capture import sink
from benchmarks.capture.peers.capture import OUTPUT, Capture, Recorded
from benchmarks.capture.workload import Function

_OFFLINE: dict[str, Any] = {
    "mq": {"enabled": False},
    "project": {"dump_buffer": {"enabled": True}, "enrich_messages": False},
}
"""What it does without a settings file."""
_CPU: dict[str, Any] = {"telemetry_capture": {"cpu": True}}
_LMDB = Path("flowcept_lmdb")


class Task(Capture):
    """``@flowcept_task``, offline, as it comes."""

    settings: ClassVar[dict[str, Any]] = _OFFLINE
    context: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        """Write its settings, which it reads when it is imported."""
        Path("settings.yaml").write_text(json.dumps(self.settings))  # JSON is YAML
        os.environ["FLOWCEPT_SETTINGS_PATH"] = str(Path("settings.yaml").absolute())
        self.flowcept = importlib.import_module("flowcept")

    def start(self) -> None:
        """Begin its workflow; load what the end of it loads, so that none of that counts as a task's."""
        with contextlib.suppress(ImportError):  # it wants pandas, and does without where there is no database
            importlib.import_module("flowcept.commons.daos.docdb_dao.docdb_dao_base")
        self.run = self.flowcept.Flowcept(workflow_name="benchmark", **self.context)
        self.run.start()

    def wrap(self, function: Function) -> Function:
        """Return the decorated function."""
        wrapped: Function = self.flowcept.flowcept_task(output_names=OUTPUT)(function)
        return wrapped

    def stop(self) -> None:
        """End its workflow, which writes the file."""
        self.run.stop()

    def size(self) -> int:
        """Return the bytes of its file."""
        return sum(path.stat().st_size for path in Path().glob("*.jsonl"))

    def query(self) -> bool:
        """Read its file, which is how it answers questions offline."""
        return bool(self.flowcept.Flowcept.read_buffer_file())

    def records(self) -> Iterable[Recorded]:
        """Return every task of its file."""
        return self.tasks(json.loads(line) for path in Path().glob("*.jsonl") for line in path.open())

    def tasks(self, messages: Iterable[dict[str, Any]]) -> Iterable[Recorded]:
        """Return the tasks among its messages."""
        return [
            (message["activity_id"], tuple(map(_value, message["used"].values())), _output(message["generated"]))
            for message in messages
            if message.get("type", "task") == "task"
        ]


class Telemetry(Task):
    """``@telemetry_flowcept_task``, offline, with the figures of the CPU alone."""

    settings: ClassVar[dict[str, Any]] = _OFFLINE | _CPU
    positional = False

    def wrap(self, function: Function) -> Function:
        """Return the decorated function."""
        from_its_module = importlib.import_module("flowcept.instrumentation.flowcept_task")
        wrapped: Function = from_its_module.telemetry_flowcept_task(function)
        return wrapped


class CpuAndMemory(Task):
    """``@flowcept_task``, offline, with the figures of CPU and memory."""

    settings: ClassVar[dict[str, Any]] = _OFFLINE | {"telemetry_capture": {"cpu": True, "mem": True}}


class Lightweight(Task):
    """``@lightweight_flowcept_task``, offline: no times, no status, no inputs by position."""

    positional = False

    def wrap(self, function: Function) -> Function:
        """Return the decorated function."""
        from_its_module = importlib.import_module("flowcept.instrumentation.flowcept_task")
        wrapped: Function = from_its_module.lightweight_flowcept_task(function)
        return wrapped


class Explicit(Task):
    """``FlowceptTask`` around each call, offline."""

    def wrap(self, function: Function) -> Function:
        """Return a function that does what its users write by hand."""
        flowcept_task, name = self.flowcept.FlowceptTask, function.__name__

        def wrapped(a: Any, b: Any) -> Any:
            with flowcept_task(activity_id=name, used={"a": a, "b": b}) as task:
                result = function(a, b)
                task.end(generated={OUTPUT: result})
                return result

        return wrapped


class Online(Task):
    """``@flowcept_task``, published to Redis through the buffers of its sample settings, and consumed by nobody."""

    settings: ClassVar[dict[str, Any]] = {
        "project": {"db_flush_mode": "online", "dump_buffer": {"enabled": False}, "enrich_messages": False},
        "mq": {
            "enabled": True,
            "type": "redis",
            "host": "127.0.0.1",
            "port": int(os.environ.get("BENCHMARK_REDIS", "0")),
            "buffer_size": 50,
            "insertion_buffer_time_secs": 5,
        },
    }
    context: ClassVar[dict[str, Any]] = {"check_safe_stops": False, "start_persistence": False}

    def size(self) -> int:
        """Return the bytes that were published."""
        return sink.taken("messages")

    def query(self) -> bool:
        """Say that published messages answer no questions."""
        return False

    def records(self) -> Iterable[Recorded]:
        """Return every task that was published."""
        unpack = importlib.import_module("msgpack").unpackb
        return self.tasks(unpack(body, strict_map_key=False) for body in sink.bodies("messages"))


class TelemetryOnline(Telemetry, Online):
    """``@telemetry_flowcept_task``, published to Redis."""

    settings: ClassVar[dict[str, Any]] = Online.settings | _CPU


class LightweightOnline(Lightweight, Online):
    """``@lightweight_flowcept_task``, published to Redis."""


class ExplicitOnline(Explicit, Online):
    """``FlowceptTask`` around each call, published to Redis."""


class Stored(Online):
    """``@flowcept_task``, published to Redis, consumed by its own thread and stored in LMDB."""

    settings: ClassVar[dict[str, Any]] = Online.settings | {
        "kv_db": {"enabled": True, "host": "127.0.0.1", "port": int(os.environ.get("BENCHMARK_REDIS", "0"))},
        "databases": {"mongodb": {"enabled": False}, "lmdb": {"enabled": True, "path": str(_LMDB)}},
        "db_buffer": {
            "insertion_buffer_time_secs": 5,
            "buffer_size": 50,
            "stop_max_trials": 300,
            "stop_trials_sleep": 0.1,
        },
    }
    context: ClassVar[dict[str, Any]] = {}

    def size(self) -> int:
        """Return the bytes that its store takes on disk."""
        return (_LMDB / "data.mdb").stat().st_blocks * 512

    def query(self) -> bool:
        """Ask its database."""
        return bool(self.flowcept.Flowcept.db.task_query({}, limit=1))

    def records(self) -> Iterable[Recorded]:
        """Return every task of its database."""
        return self.tasks(self.flowcept.Flowcept.db.task_query({}))


def _value(value: Any) -> Any:
    return re.sub(r"_instance_id_\d+$", "", value) if isinstance(value, str) else value


def _output(generated: Any) -> Any:
    return generated[OUTPUT] if isinstance(generated, dict) else generated
