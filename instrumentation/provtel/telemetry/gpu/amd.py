"""GPUs of AMD, by the library that comes with ROCm."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provtel_model import attributes as names

from provtel.telemetry.gpu.card import Reading, Use
from provtel.telemetry.gpu.visible import chosen

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_model.anyvalue import AnyValue

_VARIABLES: Final = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")
_PERCENT: Final = 100
_MIB: Final = 2**20
_MHZ: Final = 1e6
_MICRO: Final = 1e-6
_FASTEST_FAN: Final = 255
_ACTIVITIES: Final = {"gfx_activity": "general", "mm_activity": "decoder"}
_POWERS: Final = ("socket_power", "current_socket_power", "average_socket_power")
_SENSORS: Final = {"EDGE": "edge", "HOTSPOT": "hotspot", "VRAM": "memory"} | {
    f"HBM_{stack}": f"memory_stack_{stack}" for stack in range(4)
}
_REGULATORS: Final = {
    "temperature_vrgfx": "graphics_regulator",
    "temperature_vrsoc": "soc_regulator",
    "temperature_vrmem": "memory_regulator",
}
_PASSING: Final = frozenset({8, 9, 11, 30, 40})
"""What the library answers where it may know later: it took too long, try again, interrupted, busy, no data."""
_GREATEST: Final = tuple(2**bits - 1 for bits in (16, 32, 64))
_DOMAINS: Final = {
    "GFX": "graphics",
    "MEM": "memory",
    "VCLK0": "video",
    "DCLK0": "decoder",
    "SOC": "soc",
    "DCEF": "display",
}


def is_loaded() -> bool:
    """Say whether the kernel has the driver; without it the module `amdsmi` complains on stdout when it is imported."""
    return Path("/sys/module/amdgpu").exists()


class Amd:
    """The GPUs of AMD that this process may use.

    Args:
        smi: The module `amdsmi`.
    """

    def __init__(self, smi: Any) -> None:
        """Load the library, and look for the GPUs.

        Raises:
            Exception: An error of the module: there is no driver.
        """
        self._smi = smi
        smi.amdsmi_init()
        cards = [_Card(smi, handle) for handle in smi.amdsmi_get_processor_handles()]
        text = next((os.environ[name] for name in _VARIABLES if name in os.environ), None)
        self._cards = [cards[place] for place, _ in chosen(text, [[card.id] for card in cards])]

    def read(self) -> list[Reading]:
        """Return what they do."""
        return [card.read() for card in self._cards]

    def close(self) -> None:
        """Let go of the library."""
        with contextlib.suppress(Exception):
            self._smi.amdsmi_shut_down()


class _Card:
    """A GPU; what it does not support is asked once."""

    def __init__(self, smi: Any, handle: Any) -> None:
        self._smi = smi
        self._handle = handle
        self._unsupported: set[tuple[str, Any]] = set()
        self.id = str(self._ask("amdsmi_get_gpu_device_uuid") or "")
        self._attributes: dict[str, AnyValue] = {names.HW_ID: self.id, names.HW_TYPE: "gpu", names.HW_VENDOR: "AMD"}
        asic, driver = self._ask("amdsmi_get_gpu_asic_info"), self._ask("amdsmi_get_gpu_driver_info")
        if asic and asic.get("market_name"):
            self._attributes[names.HW_NAME] = asic["market_name"]
        if driver and driver.get("driver_version"):
            self._attributes[names.HW_DRIVER_VERSION] = driver["driver_version"]

    def _ask(self, name: str, *arguments: Any) -> Any:
        key = (name, arguments)
        if key in self._unsupported:
            return None
        try:
            function: Callable[..., Any] = getattr(self._smi, name)
            return function(self._handle, *arguments)
        except Exception as error:  # noqa: BLE001  # versions differ in what they have, and in what they raise
            if getattr(error, "err_code", None) not in _PASSING:
                self._unsupported.add(key)
            return None

    def read(self) -> Reading:
        """Return what it does."""
        reading = Reading(self.id, self._attributes)
        for field, task in _ACTIVITIES.items():
            share = _number((self._ask("amdsmi_get_gpu_activity") or {}).get(field))
            if share is not None and share <= _PERCENT:
                reading.utilization[task] = share / _PERCENT
        memory = self._ask("amdsmi_get_gpu_vram_usage") or {}
        reading.memory_used, reading.memory_total = _mebibytes(memory, "vram_used"), _mebibytes(memory, "vram_total")
        powers = self._ask("amdsmi_get_power_info") or {}
        reading.power = next((watts for field in _POWERS if (watts := _number(powers.get(field)))), None)
        energy = self._ask("amdsmi_get_energy_count") or {}
        if (count := _number(energy.get("energy_accumulator"))) is not None:
            reading.energy = count * energy["counter_resolution"] * _MICRO
        speed = _number(self._ask("amdsmi_get_gpu_fan_speed", 0))
        if speed is not None and speed <= _FASTEST_FAN:
            reading.fan = speed / _FASTEST_FAN
        self._read_sensors(reading)
        processes = self._ask("amdsmi_get_gpu_process_list")
        if processes is not None:
            reading.processes = {each["pid"]: Use(_number(each["memory_usage"]["vram_mem"])) for each in processes}
        return reading

    def _read_sensors(self, reading: Reading) -> None:
        kinds, now = self._smi.AmdSmiTemperatureType, self._smi.AmdSmiTemperatureMetric.CURRENT
        for name, sensor in _SENSORS.items():
            degrees = _number(self._ask("amdsmi_get_temp_metric", getattr(kinds, name), now))
            if degrees is not None:
                reading.temperature[sensor] = degrees
        told = self._ask("amdsmi_get_gpu_metrics_info") or {}
        for field, sensor in _REGULATORS.items():
            # There is no regulator of that kind where it says nought.
            if degrees := _number(told.get(field)):
                reading.temperature[sensor] = degrees
        clocks = self._smi.AmdSmiClkType
        for name, domain in _DOMAINS.items():
            if hasattr(clocks, name):
                clock = self._ask("amdsmi_get_clock_info", getattr(clocks, name)) or {}
                if (megahertz := _number(clock.get("clk"))) is not None:
                    reading.clocks[domain] = megahertz * _MHZ


def _number(value: Any, greatest: tuple[int, ...] = _GREATEST) -> Any:
    """Return a figure; ``None`` where the library does not know, and says ``N/A`` or the greatest number of a width.

    Widths are those of its own fields and of the driver's, which are narrower: it hands on what it got.
    """
    return value if isinstance(value, int | float) and value not in greatest else None


def _mebibytes(memory: dict[str, Any], field: str) -> int | None:
    # A GPU of 64 GiB may use one MiB less than that, which is the greatest number of 16 bits.
    value = _number(memory.get(field), _GREATEST[1:])
    return None if value is None else value * _MIB
