"""Metrics of the machine: CPUs, memory, disks and network, as the sampler takes them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

import psutil
from provtel_model import attributes as names
from provtel_model import metrics

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from provtel_model.anyvalue import AnyValue
    from provtel_model.metrics import Point

    Points = Iterator[Point]

_SELDOM: Final = 10
"""What takes longer, or changes slowly, is in every tenth sample."""
_MODES: Final = {"irq": "interrupt"}
_GUESTS: Final = {"user": "guest", "nice": "guest_nice"}
_DIRECTIONS: Final = (("read", "read"), ("write", "write"))
_MILLISECOND: Final = 1e-3


class OfMachine:
    """Asks what the machine does.

    Args:
        groups: What is wanted of ``cpu``, ``per_cpu``, ``memory``, ``disk`` and ``network``.
    """

    def __init__(self, groups: Collection[str]) -> None:
        """Begin to count from now."""
        self._ways = [way for group, way in self._all() if group in groups]
        self._whole = _Times()
        self._each: dict[int, _Times] = {}
        self._tick = -1

    def _all(self) -> tuple[tuple[str, Any], ...]:
        return (
            ("cpu", self._cpu),
            ("per_cpu", self._per_cpu),
            ("memory", _memory),
            ("memory", _swap),
            ("disk", self._file_systems),
            ("disk", _disks),
            ("network", _network),
        )

    def points(self) -> Points:
        """Yield the data points of now; what the machine does not tell is left out."""
        self._tick += 1
        for way in self._ways:
            # A kernel, or a container, may have nothing to tell of a disk or of swap.
            with contextlib.suppress(OSError, RuntimeError, NotImplementedError, psutil.Error):
                yield from way()

    def _cpu(self) -> Points:
        yield from self._whole.points(psutil.cpu_times(), {})
        yield metrics.SYSTEM_CPU_LOGICAL_COUNT, {}, psutil.cpu_count() or os.cpu_count() or 1
        if self._tick % _SELDOM == 0:
            frequency = psutil.cpu_freq()
            if frequency is not None:
                yield metrics.SYSTEM_CPU_FREQUENCY, {}, frequency.current * 1e6

    def _per_cpu(self) -> Points:
        for number, times in enumerate(psutil.cpu_times(percpu=True)):
            known = self._each.setdefault(number, _Times())
            yield from known.points(times, {names.CPU_LOGICAL_NUMBER: number})

    def _file_systems(self) -> Points:
        if self._tick % _SELDOM:
            return
        for part in psutil.disk_partitions(all=False):
            with contextlib.suppress(OSError):
                yield from _file_system(part)


class _Times:
    """CPU times, and what share of the time since the sample before each had."""

    def __init__(self) -> None:
        self._before: dict[str, float] = {}

    def points(self, times: Any, attributes: dict[str, AnyValue]) -> Points:
        now = _by_mode(times)
        before, self._before = self._before, now
        passed = sum(now.values()) - sum(before.values())
        for mode, seconds in now.items():
            of_mode = {**attributes, names.CPU_MODE: mode}
            yield metrics.SYSTEM_CPU_TIME, of_mode, seconds
            if before and passed > 0:
                yield metrics.SYSTEM_CPU_UTILIZATION, of_mode, max(seconds - before[mode], 0.0) / passed


def _by_mode(times: Any) -> dict[str, float]:
    """Return seconds by mode, which add up to all: the kernel counts guests in user and nice too."""
    found = times._asdict()
    for mode, guest in _GUESTS.items():
        found[mode] = max(found.get(mode, 0.0) - found.get(guest, 0.0), 0.0)
    return {_MODES.get(field, field): seconds for field, seconds in found.items()}


def _memory() -> Points:
    memory = psutil.virtual_memory()
    free, buffers, cached = (getattr(memory, field, 0) for field in ("free", "buffers", "cached"))
    used = max(memory.total - free - buffers - cached, 0)
    yield metrics.SYSTEM_MEMORY_LIMIT, {}, memory.total
    for state, size in (("used", used), ("free", free), ("buffers", buffers), ("cached", cached)):
        attributes: dict[str, AnyValue] = {names.SYSTEM_MEMORY_STATE: state}
        yield metrics.SYSTEM_MEMORY_USAGE, attributes, size
        yield metrics.SYSTEM_MEMORY_UTILIZATION, attributes, size / memory.total
    for metric, field in _MEMORY:
        if hasattr(memory, field):
            yield metric, {}, getattr(memory, field)


_MEMORY: Final = (
    (metrics.SYSTEM_MEMORY_LINUX_AVAILABLE, "available"),
    (metrics.SYSTEM_MEMORY_LINUX_SHARED, "shared"),
    (metrics.SYSTEM_MEMORY_LINUX_SLAB_USAGE, "slab"),
    (metrics.PROVTEL_SYSTEM_MEMORY_ACTIVE, "active"),
    (metrics.PROVTEL_SYSTEM_MEMORY_INACTIVE, "inactive"),
)


def _swap() -> Points:
    swap = psutil.swap_memory()
    for state, size in (("used", swap.used), ("free", swap.free)):
        attributes: dict[str, AnyValue] = {names.SYSTEM_PAGING_STATE: state}
        yield metrics.SYSTEM_PAGING_USAGE, attributes, size
        if swap.total:
            yield metrics.SYSTEM_PAGING_UTILIZATION, attributes, size / swap.total
    for direction, size in (("in", swap.sin), ("out", swap.sout)):
        yield metrics.PROVTEL_SYSTEM_PAGING_IO, {names.SYSTEM_PAGING_DIRECTION: direction}, size


def _file_system(part: Any) -> Points:
    status = os.statvfs(part.mountpoint)
    size, limit = status.f_frsize, status.f_blocks * status.f_frsize
    attributes: dict[str, AnyValue] = {
        names.SYSTEM_DEVICE: part.device,
        names.SYSTEM_FILESYSTEM_MOUNTPOINT: part.mountpoint,
        names.SYSTEM_FILESYSTEM_TYPE: part.fstype,
    }
    used, free = (status.f_blocks - status.f_bfree) * size, status.f_bavail * size
    reserved = (status.f_bfree - status.f_bavail) * size
    yield metrics.SYSTEM_FILESYSTEM_LIMIT, attributes, limit
    for state, bytes_ in (("used", used), ("free", free), ("reserved", reserved)):
        yield metrics.SYSTEM_FILESYSTEM_USAGE, {**attributes, names.SYSTEM_FILESYSTEM_STATE: state}, bytes_
    if used + free:
        yield metrics.SYSTEM_FILESYSTEM_UTILIZATION, attributes, used / (used + free)


def _disks() -> Points:
    for disk, counters in psutil.disk_io_counters(perdisk=True, nowrap=False).items():
        if not counters.read_count and not counters.write_count:
            continue  # a kernel has a dozen that nobody uses
        device: dict[str, AnyValue] = {names.SYSTEM_DEVICE: disk}
        for direction, field in _DIRECTIONS:
            attributes = {**device, names.DISK_IO_DIRECTION: direction}
            yield metrics.SYSTEM_DISK_IO, attributes, getattr(counters, f"{field}_bytes")
            yield metrics.SYSTEM_DISK_OPERATIONS, attributes, getattr(counters, f"{field}_count")
            yield metrics.SYSTEM_DISK_OPERATION_TIME, attributes, getattr(counters, f"{field}_time") * _MILLISECOND
            if hasattr(counters, f"{field}_merged_count"):
                yield metrics.SYSTEM_DISK_MERGED, attributes, getattr(counters, f"{field}_merged_count")
        if hasattr(counters, "busy_time"):
            yield metrics.SYSTEM_DISK_IO_TIME, device, counters.busy_time * _MILLISECOND


def _network() -> Points:
    for interface, counters in psutil.net_io_counters(pernic=True, nowrap=False).items():
        for direction, word, short in (("receive", "recv", "in"), ("transmit", "sent", "out")):
            attributes: dict[str, AnyValue] = {
                names.NETWORK_INTERFACE_NAME: interface,
                names.NETWORK_IO_DIRECTION: direction,
            }
            yield metrics.SYSTEM_NETWORK_IO, attributes, getattr(counters, f"bytes_{word}")
            yield metrics.SYSTEM_NETWORK_PACKET_COUNT, attributes, getattr(counters, f"packets_{word}")
            yield metrics.SYSTEM_NETWORK_ERRORS, attributes, getattr(counters, f"err{short}")
            yield metrics.SYSTEM_NETWORK_PACKET_DROPPED, attributes, getattr(counters, f"drop{short}")
