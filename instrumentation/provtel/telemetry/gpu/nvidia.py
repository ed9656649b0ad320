"""GPUs of NVIDIA, by the library of their driver."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

from provtel_model import attributes as names

from provtel.telemetry.gpu.card import Reading, Use
from provtel.telemetry.gpu.visible import chosen

if TYPE_CHECKING:
    from collections.abc import Callable

_VARIABLE: Final = "CUDA_VISIBLE_DEVICES"
_PERCENT: Final = 100
_MILLI: Final = 1000
_MHZ: Final = 1e6
_DOMAINS: Final = (
    ("graphics", "NVML_CLOCK_GRAPHICS"),
    ("sm", "NVML_CLOCK_SM"),
    ("memory", "NVML_CLOCK_MEM"),
    ("video", "NVML_CLOCK_VIDEO"),
)


class Nvidia:
    """The GPUs of NVIDIA that this process may use.

    Args:
        nvml: The module `pynvml`.
    """

    def __init__(self, nvml: Any) -> None:
        """Load the driver's library, and look for the GPUs.

        Raises:
            Exception: An error of the module: there is no driver.
        """
        self._nvml = nvml
        nvml.nvmlInit()
        self._vendor = {names.HW_TYPE: "gpu", names.HW_VENDOR: "NVIDIA"}
        version = self._ask(nvml.nvmlSystemGetDriverVersion)
        if version:
            self._vendor[names.HW_DRIVER_VERSION] = version
        self._cards = self._find()

    def _find(self) -> list[_Card]:
        count = self._ask(self._nvml.nvmlDeviceGetCount) or 0
        handles = [self._ask(self._nvml.nvmlDeviceGetHandleByIndex, index) for index in range(count)]
        cards = [_Card(self._nvml, handle, self._vendor) for handle in handles if handle is not None]
        selected = chosen(os.environ.get(_VARIABLE), [card.ids() for card in cards])
        wanted: dict[int, set[str] | None] = {}
        for place, part in selected:
            if part is None:
                wanted[place] = None
            elif (parts := wanted.setdefault(place, set())) is not None:
                parts.add(part)
        for place, parts in wanted.items():
            cards[place].only(parts)
        return [cards[place] for place in wanted]

    def read(self) -> list[Reading]:
        """Return what they do."""
        return [reading for card in self._cards for reading in card.read()]

    def close(self) -> None:
        """Let go of the library."""
        with contextlib.suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except self._nvml.NVMLError:
            return None


class _Asked:
    """A GPU or a part of it; what it does not support is asked once."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self.nvml = nvml
        self.handle = handle
        self._unsupported: set[tuple[str, Any]] = set()
        self._hopeless = (
            nvml.NVML_ERROR_NOT_SUPPORTED,
            nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            nvml.NVML_ERROR_NO_PERMISSION,
        )

    def ask(self, name: str, *arguments: Any) -> Any:
        """Return what a function of the library says; ``None`` where it says nothing."""
        key = (name, arguments)
        if key in self._unsupported:
            return None
        try:
            return getattr(self.nvml, name)(self.handle, *arguments)
        except self.nvml.NVMLError as error:
            if getattr(error, "value", None) in self._hopeless:
                self._unsupported.add(key)
            return None

    def memory(self, reading: Reading) -> None:
        memory = self.ask("nvmlDeviceGetMemoryInfo")
        if memory is not None:
            reading.memory_used, reading.memory_total = memory.used, memory.total

    def running(self) -> dict[int, Use] | None:
        """Return the processes that compute or draw on it."""
        found: dict[int, Use] | None = None
        for name in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
            processes = self.ask(name)
            if processes is not None:
                found = {} if found is None else found
                found.update((process.pid, Use(process.usedGpuMemory)) for process in processes)
        return found


class _Card(_Asked):
    """A whole GPU, and its parts where it is partitioned."""

    def __init__(self, nvml: Any, handle: Any, common: dict[str, Any]) -> None:
        super().__init__(nvml, handle)
        self.id = str(self.ask("nvmlDeviceGetUUID") or f"GPU-{self.ask('nvmlDeviceGetIndex')}")
        self.attributes = {names.HW_ID: self.id, **common}
        if name := self.ask("nvmlDeviceGetName"):
            self.attributes[names.HW_NAME] = name
        self._last_seen = 0
        self._parts = self._find_parts()

    def _find_parts(self) -> list[_Part]:
        mode = self.ask("nvmlDeviceGetMigMode")
        if not mode or mode[0] != self.nvml.NVML_DEVICE_MIG_ENABLE:
            return []
        parts = []
        for index in range(self.ask("nvmlDeviceGetMaxMigDeviceCount") or 0):
            handle = self.ask("nvmlDeviceGetMigDeviceHandleByIndex", index)
            if handle is not None:
                parts.append(_Part(self.nvml, handle, self))
        whole = sum(part.size for part in parts)
        for part in parts:
            part.share = part.size / whole
        return parts

    def ids(self) -> list[str]:
        """Return its own UUID and those of its parts."""
        return [self.id, *(part.id for part in self._parts)]

    def only(self, parts: set[str] | None) -> None:
        """Read some parts only; ``None`` for all."""
        if parts is not None:
            self._parts = [part for part in self._parts if part.id in parts]

    def read(self) -> list[Reading]:
        """Return what it does, and then its parts."""
        reading = Reading(self.id, self.attributes)
        self._read_rates(reading)
        self.memory(reading)
        degrees = self.ask("nvmlDeviceGetTemperature", self.nvml.NVML_TEMPERATURE_GPU)
        if degrees is not None:
            reading.temperature[""] = degrees
        reading.power = _scaled(self.ask("nvmlDeviceGetPowerUsage"), _MILLI)
        reading.energy = _scaled(self.ask("nvmlDeviceGetTotalEnergyConsumption"), _MILLI)
        reading.fan = _scaled(self.ask("nvmlDeviceGetFanSpeed"), _PERCENT)
        for domain, constant in _DOMAINS:
            clock = self.ask("nvmlDeviceGetClockInfo", getattr(self.nvml, constant))
            if clock is not None:
                reading.clocks[domain] = clock * _MHZ
        # Processes on a partitioned GPU are those of its parts.
        reading.processes = None if self._parts else self._read_processes()
        return [reading, *(part.read() for part in self._parts)]

    def _read_rates(self, reading: Reading) -> None:
        rates = self.ask("nvmlDeviceGetUtilizationRates")
        if rates is not None:
            reading.utilization["general"] = rates.gpu / _PERCENT
        for task in ("Encoder", "Decoder"):
            found = self.ask(f"nvmlDeviceGet{task}Utilization")
            if found is not None:
                reading.utilization[task.lower()] = found[0] / _PERCENT

    def _read_processes(self) -> dict[int, Use] | None:
        found = self.running()
        if not found:
            return found
        # Samples that were told of before are not told again; where there is none it is an error of its own.
        samples = self.ask("nvmlDeviceGetProcessUtilization", self._last_seen) or ()
        latest: dict[int, Any] = {}
        for sample in samples:
            if sample.timeStamp >= getattr(latest.get(sample.pid), "timeStamp", 0):
                latest[sample.pid] = sample
            self._last_seen = max(self._last_seen, sample.timeStamp)
        for pid, use in found.items():
            # Some drivers give a process shares that cannot be.
            if pid in latest and latest[pid].smUtil <= _PERCENT:
                found[pid] = Use(use.memory, latest[pid].smUtil / _PERCENT)
        return found


class _Part(_Asked):
    """A MIG device."""

    def __init__(self, nvml: Any, handle: Any, whole: _Card) -> None:
        super().__init__(nvml, handle)
        self.id = str(self.ask("nvmlDeviceGetUUID") or f"MIG-{whole.id}")
        self._whole = whole
        self._attributes = {**whole.attributes, names.HW_ID: self.id, names.HW_PARENT: whole.id}
        if name := self.ask("nvmlDeviceGetName"):
            self._attributes[names.HW_NAME] = name
        sizes = self.ask("nvmlDeviceGetAttributes")
        self.size = max(sizes.multiprocessorCount, 1) if sizes is not None else 1
        self.share = 1.0

    def read(self) -> Reading:
        """Return what it does; of power and clocks only the whole GPU tells."""
        reading = Reading(self.id, self._attributes, part=self.share, parent=self._whole.id)
        self.memory(reading)
        reading.processes = self.running()
        return reading


def _scaled(value: int | None, by: int) -> float | None:
    return None if value is None else value / by
