"""What a task costs: CPU time by default, and in full what else the kernel counts."""

from __future__ import annotations

from provtel.telemetry.meters import (
    NO_METER,
    PROCESS_SCOPE,
    THREAD_METER,
    Level,
    Meter,
    figures_elsewhere,
    in_event_loop,
    meter_for,
)

__all__ = [
    "NO_METER",
    "PROCESS_SCOPE",
    "THREAD_METER",
    "Level",
    "Meter",
    "figures_elsewhere",
    "in_event_loop",
    "meter_for",
]
