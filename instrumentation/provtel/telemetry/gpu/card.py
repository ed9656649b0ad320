"""What is read of a GPU, whoever made it."""

from __future__ import annotations

import os
from collections.abc import Mapping  # a dataclass has it
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from provtel_model import attributes as names
from provtel_model import metrics
from provtel_model.anyvalue import AnyValue  # a dataclass has it

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.metrics import Point

    Points = Iterator[Point]


@dataclass(frozen=True, slots=True)
class Use:
    """What one process uses of a GPU.

    Args:
        memory: Bytes, where the driver tells.
        utilization: Share of the time in which the GPU worked for it, where the driver tells.
    """

    memory: int | None = None
    utilization: float | None = None


@dataclass(slots=True)
class Reading:
    """A GPU, or a part of one, at a moment; ``None`` is what its driver does not tell.

    Args:
        id: Its UUID.
        attributes: What its data points bear.
        utilization: Share of the time in which it worked, by task: ``general``, ``encoder``, ``decoder``.
        memory_used: Bytes in use.
        memory_total: Bytes that it has.
        temperature: Degrees Celsius, by sensor; the one without a name is the GPU itself.
        power: Watts.
        energy: Joules since the driver was loaded.
        fan: Speed as a share of the highest.
        clocks: Hertz by what is driven.
        processes: Who uses it, by process id; ``None`` where that cannot be told.
        part: Of a part of a GPU: how much of it.
        parent: Of a part: the id of the whole.
    """

    id: str
    attributes: dict[str, AnyValue]
    utilization: dict[str, float] = field(default_factory=dict)
    memory_used: int | None = None
    memory_total: int | None = None
    temperature: dict[str, float] = field(default_factory=dict)
    power: float | None = None
    energy: float | None = None
    fan: float | None = None
    clocks: dict[str, float] = field(default_factory=dict)
    processes: Mapping[int, Use] | None = None
    part: float = 1.0
    parent: str | None = None


class Driver(Protocol):
    """The way to the GPUs of one maker."""

    def read(self) -> list[Reading]:
        """Return what the GPUs do that this process may use, parts after their whole."""

    def close(self) -> None:
        """Let go of the driver's library."""


def points_of(reading: Reading, mine: Use | None) -> Points:
    """Yield the data points of a reading.

    Args:
        reading: What was read.
        mine: What this process uses of it, where it does.
    """
    here = reading.attributes
    for task, share in reading.utilization.items():
        yield metrics.HW_GPU_UTILIZATION, {**here, names.HW_GPU_TASK: task}, share
    if reading.memory_used is not None:
        yield metrics.HW_GPU_MEMORY_USAGE, here, reading.memory_used
    if reading.memory_total:
        yield metrics.HW_GPU_MEMORY_LIMIT, here, reading.memory_total
        if reading.memory_used is not None:
            yield metrics.HW_GPU_MEMORY_UTILIZATION, here, reading.memory_used / reading.memory_total
    for sensor, degrees in reading.temperature.items():
        place: dict[str, AnyValue] = {names.HW_SENSOR_LOCATION: sensor} if sensor else {}
        yield metrics.HW_TEMPERATURE, {**here, **place}, degrees
    for domain, hertz in reading.clocks.items():
        yield metrics.PROVTEL_GPU_CLOCK, {**here, names.PROVTEL_GPU_CLOCK_DOMAIN: domain}, hertz
    rest = (
        (metrics.HW_POWER, reading.power),
        (metrics.HW_ENERGY, reading.energy),
        (metrics.HW_FAN_SPEED_RATIO, reading.fan),
        (metrics.PROVTEL_PROCESS_GPU_MEMORY_USAGE, mine.memory if mine else None),
        (metrics.PROVTEL_PROCESS_GPU_UTILIZATION, mine.utilization if mine else None),
    )
    yield from ((metric, here, value) for metric, value in rest if value is not None)


def own_pids() -> frozenset[int]:
    """Return the ids that this process has: the one here and, in a container, those outside that it can see."""
    pids = {os.getpid()}
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        pids.update(map(int, text.partition("\nNSpid:")[2].partition("\n")[0].split()))
    except (OSError, ValueError):
        pass
    return frozenset(pids)
