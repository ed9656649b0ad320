"""The GPUs of this process, of whichever maker: a source of the sampler, and of what tasks took of them."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from provtel import definition
from provtel.telemetry import meters
from provtel.telemetry.gpu import windows
from provtel.telemetry.gpu.amd import Amd, is_loaded
from provtel.telemetry.gpu.card import Use, own_pids, points_of
from provtel.telemetry.gpu.nvidia import Nvidia
from provtel.telemetry.gpu.windows import GpuMeter, Taken

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel.telemetry.gpu.card import Driver, Points, Reading
    from provtel.telemetry.meters import Meter

_MAKERS: Final[tuple[tuple[str, Callable[[], bool], Callable[[Any], Driver]], ...]] = (
    ("pynvml", lambda: True, Nvidia),
    ("amdsmi", is_loaded, Amd),
)


class Gpus:
    """Reads GPUs, and counts what tasks took of them.

    Args:
        drivers: The ways to them.
    """

    def __init__(self, drivers: list[Driver]) -> None:
        """Measure tasks from now on, where that is not done already."""
        self._drivers = drivers
        self._pids = own_pids()
        self._energy: dict[str, tuple[float, float]] = {}
        expect_gpus()

    def points(self) -> Points:
        """Yield the data points of now, and let the tasks that run take their part."""
        readings = [reading for driver in self._drivers for reading in driver.read()]
        uses = [self._mine(reading) for reading in readings]
        windows.windows.take(self._taken(readings, uses))
        for reading, mine in zip(readings, uses, strict=True):
            yield from points_of(reading, mine)

    def close(self) -> None:
        """Let go of the drivers."""
        expect_none()
        for driver in self._drivers:
            driver.close()

    def _mine(self, reading: Reading) -> Use | None:
        """Return what this process uses of a GPU; ``None`` where it does not, or nobody can tell."""
        mine = [use for pid, use in (reading.processes or {}).items() if pid in self._pids]
        return mine[0] if mine else None

    def _taken(self, readings: list[Reading], uses: list[Use | None]) -> Taken:
        powers = {reading.id: self._power(reading) for reading in readings if reading.parent is None}
        whole = {reading.parent for reading in readings if reading.parent is not None}
        power, worked, memory = _Sum(), _Sum(), _Sum()
        ids: list[str] = []
        is_device = False
        for reading, mine in zip(readings, uses, strict=True):
            told = reading.processes is not None
            if reading.id in whole or (told and mine is None):
                continue
            is_device = is_device or not told
            share = _share(reading, mine) if told else 1.0
            power.add(powers.get(reading.parent or reading.id), reading.part * share)
            known = mine.utilization if mine is not None else None
            worked.add(reading.utilization.get("general") if known is None else known)
            memory.add(reading.memory_used if mine is None else mine.memory)
            ids.append(reading.id)
        mean = None if worked.total is None else worked.total / worked.count
        bytes_ = None if memory.total is None else int(memory.total)
        return Taken(power.total, mean, bytes_, tuple(ids), is_device)

    def _power(self, reading: Reading) -> float | None:
        """Return the mean power since the reading before; without a count of energy, the power now."""
        now = time.monotonic()
        before = self._energy.get(reading.id)
        if reading.energy is not None:
            self._energy[reading.id] = reading.energy, now
            if before is not None and now > before[1] and reading.energy >= before[0]:
                return (reading.energy - before[0]) / (now - before[1])
        return reading.power


_around: Final[dict[int, GpuMeter]] = {}


def _with_gpus(meter: Meter) -> Meter:
    # There are four of them, and they live as long as the process.
    return _around.setdefault(id(meter), GpuMeter(meter))


def expect_gpus() -> None:
    """Let tasks that begin from now on have their part of the GPUs, although these may not be known yet.

    A driver takes long to begin, and tasks that run meanwhile may be those that take most.
    """
    meters.measure_around(_with_gpus)
    definition.measure_again()


def expect_none() -> None:
    """Let tasks that begin from now on ask for no part of any."""
    meters.measure_around(None)
    definition.measure_again()


class _Sum:
    """A sum of what is known."""

    def __init__(self) -> None:
        self.total: float | None = None
        self.count = 0

    def add(self, value: float | None, part: float = 1.0) -> None:
        if value is not None:
            self.total = (self.total or 0.0) + value * part
            self.count += 1


def _share(reading: Reading, mine: Use | None) -> float:
    """Return the part of a GPU's work that was this process's: by utilisation, else by the number of processes."""
    processes = reading.processes or {}
    told = [use.utilization for use in processes.values() if use.utilization is not None]
    if mine is not None and mine.utilization is not None and sum(told) > 0:
        return mine.utilization / sum(told)
    return 1 / max(len(processes), 1)


def find_gpus() -> Gpus | None:
    """Return the GPUs that this process may use; ``None`` where there are none, or no driver: that is no failure."""
    drivers: list[Driver] = []
    for module, may_be_there, make in _MAKERS:
        if not may_be_there():
            continue
        try:
            driver = make(import_module(module))
        except Exception:  # noqa: BLE001, S112  # a module or a library that is not there, whatever it says
            continue
        if driver.read():
            drivers.append(driver)
        else:
            driver.close()
    return Gpus(drivers) if drivers else None
