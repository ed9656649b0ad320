"""The metrics that the sampler writes; `metrics.yaml` says what each means, a test keeps both equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from provtel_model.anyvalue import AnyValue

COUNTER: Final = "counter"
UPDOWN: Final = "updowncounter"
GAUGE: Final = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Args:
        name: Its name.
        instrument: What OpenTelemetry would measure it with: one of the three above.
        unit: Its unit, in UCUM.
    """

    name: str
    instrument: str
    unit: str

    def common(self) -> dict[str, AnyValue]:
        """Return what its data points have in common, by fields of `provtel_model.telemetry.PlainPoint`."""
        if self.instrument == GAUGE:
            return {"name": self.name, "kind": "gauge", "unit": self.unit}
        known: dict[str, AnyValue] = {"name": self.name, "kind": "sum", "unit": self.unit, "temporality": "cumulative"}
        return {**known, "monotonic": True} if self.instrument == COUNTER else known


Point = tuple[Metric, dict[str, AnyValue], int | float]
"""A data point: its metric, its attributes, its value."""

# This process
PROCESS_CPU_TIME: Final = Metric("process.cpu.time", COUNTER, "s")
PROCESS_CPU_UTILIZATION: Final = Metric("process.cpu.utilization", GAUGE, "1")
PROCESS_MEMORY_USAGE: Final = Metric("process.memory.usage", UPDOWN, "By")
PROCESS_MEMORY_VIRTUAL: Final = Metric("process.memory.virtual", UPDOWN, "By")
PROCESS_MEMORY_UTILIZATION: Final = Metric("process.memory.utilization", GAUGE, "1")
PROVTEL_PROCESS_MEMORY_SHARED: Final = Metric("provtel.process.memory.shared", UPDOWN, "By")
PROVTEL_PROCESS_MEMORY_TEXT: Final = Metric("provtel.process.memory.text", UPDOWN, "By")
PROVTEL_PROCESS_MEMORY_DATA: Final = Metric("provtel.process.memory.data", UPDOWN, "By")
PROCESS_DISK_IO: Final = Metric("process.disk.io", COUNTER, "By")
PROCESS_DISK_OPERATIONS: Final = Metric("process.disk.operations", COUNTER, "{operation}")
PROCESS_THREAD_COUNT: Final = Metric("process.thread.count", UPDOWN, "{thread}")
PROCESS_UNIX_FILE_DESCRIPTOR_COUNT: Final = Metric("process.unix.file_descriptor.count", UPDOWN, "{file_descriptor}")
PROVTEL_PROCESS_FILE_COUNT: Final = Metric("provtel.process.file.count", UPDOWN, "{file}")
PROVTEL_PROCESS_SOCKET_COUNT: Final = Metric("provtel.process.socket.count", UPDOWN, "{socket}")
PROCESS_CONTEXT_SWITCHES: Final = Metric("process.context_switches", COUNTER, "{context_switch}")
PROCESS_PAGING_FAULTS: Final = Metric("process.paging.faults", COUNTER, "{fault}")
PROCESS_UPTIME: Final = Metric("process.uptime", GAUGE, "s")
PROVTEL_PROCESS_CPU_NUMBER: Final = Metric("provtel.process.cpu.number", GAUGE, "1")

# CPUs of the machine
SYSTEM_CPU_TIME: Final = Metric("system.cpu.time", COUNTER, "s")
SYSTEM_CPU_UTILIZATION: Final = Metric("system.cpu.utilization", GAUGE, "1")
SYSTEM_CPU_FREQUENCY: Final = Metric("system.cpu.frequency", GAUGE, "Hz")
SYSTEM_CPU_LOGICAL_COUNT: Final = Metric("system.cpu.logical.count", UPDOWN, "{cpu}")

# Memory and swap
SYSTEM_MEMORY_USAGE: Final = Metric("system.memory.usage", UPDOWN, "By")
SYSTEM_MEMORY_LIMIT: Final = Metric("system.memory.limit", UPDOWN, "By")
SYSTEM_MEMORY_UTILIZATION: Final = Metric("system.memory.utilization", GAUGE, "1")
SYSTEM_MEMORY_LINUX_AVAILABLE: Final = Metric("system.memory.linux.available", UPDOWN, "By")
SYSTEM_MEMORY_LINUX_SHARED: Final = Metric("system.memory.linux.shared", UPDOWN, "By")
SYSTEM_MEMORY_LINUX_SLAB_USAGE: Final = Metric("system.memory.linux.slab.usage", UPDOWN, "By")
PROVTEL_SYSTEM_MEMORY_ACTIVE: Final = Metric("provtel.system.memory.active", UPDOWN, "By")
PROVTEL_SYSTEM_MEMORY_INACTIVE: Final = Metric("provtel.system.memory.inactive", UPDOWN, "By")
SYSTEM_PAGING_USAGE: Final = Metric("system.paging.usage", UPDOWN, "By")
SYSTEM_PAGING_UTILIZATION: Final = Metric("system.paging.utilization", GAUGE, "1")
PROVTEL_SYSTEM_PAGING_IO: Final = Metric("provtel.system.paging.io", COUNTER, "By")

# Disks and file systems
SYSTEM_FILESYSTEM_USAGE: Final = Metric("system.filesystem.usage", UPDOWN, "By")
SYSTEM_FILESYSTEM_LIMIT: Final = Metric("system.filesystem.limit", UPDOWN, "By")
SYSTEM_FILESYSTEM_UTILIZATION: Final = Metric("system.filesystem.utilization", GAUGE, "1")
SYSTEM_DISK_IO: Final = Metric("system.disk.io", COUNTER, "By")
SYSTEM_DISK_OPERATIONS: Final = Metric("system.disk.operations", COUNTER, "{operation}")
SYSTEM_DISK_MERGED: Final = Metric("system.disk.merged", COUNTER, "{operation}")
SYSTEM_DISK_OPERATION_TIME: Final = Metric("system.disk.operation_time", COUNTER, "s")
SYSTEM_DISK_IO_TIME: Final = Metric("system.disk.io_time", COUNTER, "s")

# Network interfaces
SYSTEM_NETWORK_IO: Final = Metric("system.network.io", COUNTER, "By")
SYSTEM_NETWORK_PACKET_COUNT: Final = Metric("system.network.packet.count", COUNTER, "{packet}")
SYSTEM_NETWORK_ERRORS: Final = Metric("system.network.errors", COUNTER, "{error}")
SYSTEM_NETWORK_PACKET_DROPPED: Final = Metric("system.network.packet.dropped", COUNTER, "{packet}")

# GPUs
HW_GPU_UTILIZATION: Final = Metric("hw.gpu.utilization", GAUGE, "1")
HW_GPU_MEMORY_USAGE: Final = Metric("hw.gpu.memory.usage", UPDOWN, "By")
HW_GPU_MEMORY_LIMIT: Final = Metric("hw.gpu.memory.limit", UPDOWN, "By")
HW_GPU_MEMORY_UTILIZATION: Final = Metric("hw.gpu.memory.utilization", GAUGE, "1")
HW_TEMPERATURE: Final = Metric("hw.temperature", GAUGE, "Cel")
HW_POWER: Final = Metric("hw.power", GAUGE, "W")
HW_ENERGY: Final = Metric("hw.energy", COUNTER, "J")
HW_FAN_SPEED_RATIO: Final = Metric("hw.fan.speed_ratio", GAUGE, "1")
PROVTEL_GPU_CLOCK: Final = Metric("provtel.gpu.clock", GAUGE, "Hz")
PROVTEL_PROCESS_GPU_MEMORY_USAGE: Final = Metric("provtel.process.gpu.memory.usage", UPDOWN, "By")
PROVTEL_PROCESS_GPU_UTILIZATION: Final = Metric("provtel.process.gpu.utilization", GAUGE, "1")
