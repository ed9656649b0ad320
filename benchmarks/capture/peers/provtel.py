"""provtel: records in its journal on disk, and records shipped by OTLP."""

from __future__ import annotations

import atexit
import importlib
import inspect
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from provtel_model import compiled
from provtel_model.components import Signal
from provtel_model.otlp import check, decode
from provtel_model.record import Record
from provtel_model.values import Reference

from benchmarks.capture import sink
from benchmarks.capture.peers.capture import OUTPUT, Capture, NotHereError, Recorded
from benchmarks.capture.workload import Function

_STORE = Path("store").absolute()
os.environ["PROVTEL_STORE"] = str(_STORE)


class Journal(Capture):
    """Records in the journal, default telemetry."""

    options: ClassVar[dict[str, Any]] = {}

    def start(self) -> None:
        """Nothing has to be started."""

    def wrap(self, function: Function) -> Function:
        """Return the decorated function."""
        import provtel

        return provtel.task(outputs=OUTPUT, **self.options)(function)

    def stop(self) -> None:
        """Nothing has to be stopped: what was recorded is in the file."""

    def size(self) -> int:
        """Return the bytes of the journal's frames, without what is preallocated."""
        return sum(len(path.read_bytes().rstrip(b"\0")) for path in _STORE.glob("journal/*/*.seg"))

    def query(self) -> bool:
        """Drain the journal and ask the store."""
        import provtel

        with provtel.connect(_STORE) as store:
            return bool(store.tasks(all_runs=True, limit=1))

    def records(self) -> Iterable[Recorded]:
        """Drain the journal and return every ended task of the store."""
        import provtel

        with provtel.connect(_STORE) as store:
            return [_recorded(record) for record in store.tasks({"status": "finished"}, all_runs=True, limit=None)]

    def kept(self, value: Any) -> Any:
        """Return the reference to an array, with the hash of its content, and other values whole."""
        return _reference(value) if hasattr(value, "dtype") else value


class PureJournal(Journal):
    """The same without the compiled modules."""

    def __init__(self) -> None:
        """Leave them aside, before anything is loaded."""
        os.environ[compiled.VARIABLE] = "1"


class Lean(Journal):
    """Records in the journal, telemetry off."""

    options: ClassVar[dict[str, Any]] = {"telemetry": False}

    def __init__(self) -> None:
        """Refuse where tasks cannot do without telemetry."""
        import provtel

        if "telemetry" not in inspect.signature(provtel.task).parameters:
            msg = "tasks have no option for it"
            raise NotHereError(msg)


class Full(Journal):
    """Records in the journal, with memory, I/O, context switches and children."""

    options: ClassVar[dict[str, Any]] = {"telemetry": "full"}


class Shipped(Journal):
    """Records shipped to an endpoint that answers, default telemetry."""

    def __init__(self) -> None:
        """Name the endpoint, before anything is captured."""
        os.environ["PROVTEL_ENDPOINT"] = os.environ["BENCHMARK_SINK"]
        os.environ["PROVTEL_EXIT_TIMEOUT"] = "60s"

    def start(self) -> None:
        """Load what its thread loads, so that none of that counts as a task's."""
        for name in ("provtel.shipper", "provtel_model.journal.spans", "encodings.idna"):
            importlib.import_module(name)

    def stop(self) -> None:
        """Do what the end of the process does: wait until everything is acknowledged."""
        atexit._run_exitfuncs()  # noqa: SLF001  # the very thing that the interpreter does

    def size(self) -> int:
        """Return the bytes that the sink took."""
        return sink.taken("traces")

    def query(self) -> bool:
        """Say that a sink answers no questions."""
        return False

    def records(self) -> Iterator[Recorded]:
        """Return every span that the sink took."""
        for body in sink.bodies("traces"):
            for plain in decode(check(Signal.TRACES, body)):
                yield _recorded(Record(plain))

    def recover(self) -> None:
        """Record another task as the next process: that ships what others left in the store."""
        self.wrap(_next)()
        self.stop()


class PureShipped(Shipped):
    """The same without the compiled modules."""

    def __init__(self) -> None:
        """Leave them aside, before anything is loaded."""
        os.environ[compiled.VARIABLE] = "1"
        super().__init__()


def _next() -> None:
    """Stand for whatever runs next."""


def _recorded(record: Record) -> Recorded:
    return record.name, tuple(map(_as_expected, record.used.values())), record.generated.get(OUTPUT)


def _as_expected(value: Any) -> Any:
    return _whole.get(value, value) if isinstance(value, Reference) else value


_references: dict[float, Reference | None] = {}
_whole: dict[Reference | None, Reference | None] = {}
"""From the reference with the hash of a sample, taken where there was no time for more, to that with the whole one."""


def _reference(array: Any) -> object:
    from provtel.arrays import reference
    from provtel.hashing_time import HashBudget

    start = float(array[0])
    if start not in _references:
        whole = _references[start] = reference(array, HashBudget())
        _whole[reference(array, HashBudget(largest=array.nbytes - 1))] = whole
    return _references[start]
