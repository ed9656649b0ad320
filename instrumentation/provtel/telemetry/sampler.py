"""The sampler: a thread that measures process, machine and GPUs at intervals, where a setting asks for it."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from ormsgpack import packb
from provtel_model.journal.layout import Kind

from provtel import forking, notices
from provtel.telemetry.machine_lock import MachineLock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from provtel_model.anyvalue import AnyValue
    from provtel_model.metrics import Point

    from provtel.recorder import Recorder
    from provtel.writer import JournalWriter

PROCESS: Final = "process"
GPU: Final = "gpu"
OF_MACHINE: Final = ("cpu", "per_cpu", "memory", "disk", "network")
_LAST_WAIT: Final = 2.0
_POINTS: Final = Kind.POINTS.value
_BEFORE_THE_SHIPPER: Final = 200


class Sampler:
    """Measures until the process ends; what it measured is in the journal, as data points of metrics.

    The machine is measured by one process of a store on each machine at a time, whichever comes first: when that ends
    another one goes on. Each process measures itself, and the GPUs that it may use.

    Args:
        writer: Takes the data points.
        period: Seconds from one sample to the next.
        groups: What to measure.
    """

    def __init__(self, writer: JournalWriter, period: float, groups: Collection[str]) -> None:
        """Prepare; `start` begins."""
        self._writer = writer
        self._period = period
        self._groups = frozenset(groups)
        self._pid = os.getpid()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="provtel-sampler", daemon=True)
        self._machine = MachineLock(writer.folder.parent) if self._groups & {*OF_MACHINE} else None
        self._sources: dict[str, Any] = {}

    def start(self) -> None:
        """Begin to measure; a process that is already ending does not."""
        with contextlib.suppress(RuntimeError):
            self._thread.start()
            atexit.register(self.stop)
            self._stop_before_a_worker_exits()

    def stop(self) -> None:
        """Measure a last time and end; the journal is still there."""
        if self._pid == os.getpid() and not self._stopping.is_set():
            self._stopping.set()
            with contextlib.suppress(KeyboardInterrupt):
                self._thread.join(_LAST_WAIT)

    def _stop_before_a_worker_exits(self) -> None:
        # A worker of multiprocessing leaves by os._exit, which runs its finalisers and not atexit.
        if "multiprocessing.util" in sys.modules:
            from multiprocessing import parent_process
            from multiprocessing.util import Finalize

            if parent_process() is not None:
                Finalize(None, self.stop, exitpriority=_BEFORE_THE_SHIPPER)

    def _run(self) -> None:
        began = time.time_ns()
        try:
            self._find_sources()
            due = time.monotonic()
            while True:
                self._sample(began)
                if self._stopping.is_set():
                    return
                # What was missed, while the machine slept or was too busy, is not made up for.
                due = max(due + self._period, time.monotonic())
                self._stopping.wait(due - time.monotonic())
        except Exception as error:  # noqa: BLE001  # a thread of ours must not show on the program's stderr
            notices.capture_failed("what is sampled", error)
        finally:
            self._let_go()

    def _find_sources(self) -> None:
        with forking.guard:
            if self._groups & {PROCESS, *OF_MACHINE}:
                self._find_psutil()
            if GPU in self._groups:
                from provtel.telemetry.gpu import expect_none, find_gpus

                gpus = find_gpus()
                if gpus is None:
                    expect_none()
                else:
                    self._sources[GPU] = gpus

    def _find_psutil(self) -> None:
        try:
            from provtel.telemetry.of_machine import OfMachine
            from provtel.telemetry.of_process import OfProcess
        except ImportError:
            notices.say(
                "sampler", "process and machine are not sampled: that needs psutil; pip install 'provtel[telemetry]'"
            )
            return
        if PROCESS in self._groups:
            self._sources[PROCESS] = OfProcess()
        if self._machine is not None:
            self._sources["machine"] = OfMachine(self._groups)

    def _sample(self, began: int) -> None:
        now = time.time_ns()
        metrics: dict[str, tuple[dict[str, AnyValue], list[Any]]] = {}
        for name, source in self._sources.items():
            if name == "machine" and not (self._machine is not None and self._machine.is_mine()):
                continue
            try:
                _collect(metrics, source.points())
            except Exception as error:  # noqa: BLE001  # one source that fails leaves the others
                notices.capture_failed(f"the sample of {name}", error)
        if metrics:
            self._writer.note(packb([_POINTS, now, began, [*metrics.values()]]))

    def _let_go(self) -> None:
        if self._machine is not None:
            self._machine.let_go()
        if GPU in self._sources:
            self._sources[GPU].close()


def _collect(
    metrics: dict[str, tuple[dict[str, AnyValue], list[Any]]],
    points: Iterable[Point],
) -> None:
    """Add data points to those of their metrics."""
    for metric, attributes, value in points:
        known = metrics.get(metric.name)
        if known is None:
            known = metrics[metric.name] = metric.common(), []
        known[1].append((attributes, value))


def begin(owner: Recorder, writer: JournalWriter) -> Sampler | None:
    """Sample from now on where the settings ask for it."""
    settings = owner.settings
    if not settings.sampler or not settings.sampler_groups:
        return None
    sampler = Sampler(writer, settings.sampler, settings.sampler_groups)
    sampler.start()
    return sampler
