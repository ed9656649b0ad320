"""Metrics of this process, as the sampler takes them."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final

import psutil
from provtel_model import attributes as names
from provtel_model import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.anyvalue import AnyValue
    from provtel_model.metrics import Point

    Points = Iterator[Point]

_DESCRIPTORS: Final = "/proc/self/fd"
_MOST_DESCRIPTORS: Final = 1000
_MODES: Final = ("user", "system")


class OfProcess:
    """Asks what this process uses."""

    def __init__(self) -> None:
        """Begin to count from now."""
        self._process = psutil.Process()
        self._cpus = os.cpu_count() or 1
        self._memory = psutil.virtual_memory().total
        self._began = self._process.create_time()
        self._before = time.monotonic(), self._process.cpu_times()

    def points(self) -> Points:
        """Yield the data points of now."""
        with self._process.oneshot():
            yield from self._cpu()
            yield from self._usage()
            yield from self._io()
            yield metrics.PROCESS_THREAD_COUNT, {}, self._process.num_threads()
            switches = self._process.num_ctx_switches()
            for kind in ("voluntary", "involuntary"):
                attributes: dict[str, AnyValue] = {names.PROCESS_CONTEXT_SWITCH_TYPE: kind}
                yield metrics.PROCESS_CONTEXT_SWITCHES, attributes, getattr(switches, kind)
        yield from self._faults()
        yield from _descriptors()
        yield metrics.PROCESS_UPTIME, {}, time.time() - self._began

    def _cpu(self) -> Points:
        now, times = time.monotonic(), self._process.cpu_times()
        (then, before), self._before = self._before, (now, times)
        for mode in _MODES:
            attributes: dict[str, AnyValue] = {names.CPU_MODE: mode}
            yield metrics.PROCESS_CPU_TIME, attributes, getattr(times, mode)
            if now > then:
                share = (getattr(times, mode) - getattr(before, mode)) / (now - then) / self._cpus
                yield metrics.PROCESS_CPU_UTILIZATION, attributes, max(share, 0.0)
        if hasattr(self._process, "cpu_num"):
            yield metrics.PROVTEL_PROCESS_CPU_NUMBER, {}, self._process.cpu_num()

    def _usage(self) -> Points:
        memory = self._process.memory_info()
        yield metrics.PROCESS_MEMORY_USAGE, {}, memory.rss
        yield metrics.PROCESS_MEMORY_VIRTUAL, {}, memory.vms
        yield metrics.PROCESS_MEMORY_UTILIZATION, {}, memory.rss / self._memory
        for metric, field in _PARTS_OF_MEMORY:
            if hasattr(memory, field):
                yield metric, {}, getattr(memory, field)

    def _io(self) -> Points:
        if not hasattr(self._process, "io_counters"):
            return
        counters = self._process.io_counters()
        for direction in ("read", "write"):
            attributes: dict[str, AnyValue] = {names.DISK_IO_DIRECTION: direction}
            yield metrics.PROCESS_DISK_IO, attributes, getattr(counters, f"{direction}_bytes")
            yield metrics.PROCESS_DISK_OPERATIONS, attributes, getattr(counters, f"{direction}_count")

    def _faults(self) -> Points:
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        for kind, count in (("major", usage.ru_majflt), ("minor", usage.ru_minflt)):
            yield metrics.PROCESS_PAGING_FAULTS, {names.PROCESS_PAGING_FAULT_TYPE: kind}, count


_PARTS_OF_MEMORY: Final = (
    (metrics.PROVTEL_PROCESS_MEMORY_SHARED, "shared"),
    (metrics.PROVTEL_PROCESS_MEMORY_TEXT, "text"),
    (metrics.PROVTEL_PROCESS_MEMORY_DATA, "data"),
)


def _descriptors() -> Points:
    if sys.platform != "linux":
        yield metrics.PROCESS_UNIX_FILE_DESCRIPTOR_COUNT, {}, psutil.Process().num_fds()
        return
    # One look at each is a tenth of what psutil's lists of files and connections take.
    numbers = os.listdir(_DESCRIPTORS)  # noqa: PTH208  # no paths are wanted
    targets = [_target(number) for number in numbers[:_MOST_DESCRIPTORS]]
    yield metrics.PROCESS_UNIX_FILE_DESCRIPTOR_COUNT, {}, len(numbers) - 1  # the list itself is one
    yield metrics.PROVTEL_PROCESS_FILE_COUNT, {}, sum(map(_is_file, targets))
    yield metrics.PROVTEL_PROCESS_SOCKET_COUNT, {}, sum(target.startswith("socket:") for target in targets)


def _target(number: str) -> str:
    try:
        return os.readlink(f"{_DESCRIPTORS}/{number}")  # noqa: PTH115  # no path is wanted
    except OSError:
        return ""


def _is_file(target: str) -> bool:
    return target.startswith("/") and not target.startswith(("/dev/", "/proc/"))
