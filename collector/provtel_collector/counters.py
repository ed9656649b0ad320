"""What the collector counts of itself, under the names that the OpenTelemetry Collector gives it."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Final

from provtel_model.components import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX: Final = "otelcol_"
ITEMS: Final = {Signal.TRACES: "spans", Signal.METRICS: "metric_points", Signal.LOGS: "log_records"}
"""What the items of a signal are called in the names of metrics."""

Attributes = tuple[tuple[str, str], ...]


class Counters:
    """Sums and gauges by name and attributes; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: Counter[tuple[str, Attributes]] = Counter()
        self._gauges: dict[tuple[str, Attributes], Callable[[], float]] = {}

    def add(self, name: str, count: int, attributes: Mapping[str, str]) -> None:
        """Add to the sum of a name and its attributes."""
        with self._lock:
            self._sums[name, tuple(sorted(attributes.items()))] += count

    def sums(self) -> dict[tuple[str, Attributes], int]:
        """Return every sum, by full name and attributes."""
        with self._lock:
            return {(PREFIX + name, attributes): count for (name, attributes), count in self._sums.items()}

    def observe(self, name: str, read: Callable[[], float], attributes: Mapping[str, str]) -> None:
        """Know from now on how a gauge is read; one of the same name and attributes is replaced."""
        with self._lock:
            self._gauges[name, tuple(sorted(attributes.items()))] = read

    def gauges(self) -> dict[tuple[str, Attributes], float]:
        """Return what every gauge shows now, by full name and attributes."""
        with self._lock:
            gauges = list(self._gauges.items())
        return {(PREFIX + name, attributes): read() for (name, attributes), read in gauges}

    def total(self, name: str) -> int:
        """Return the sum of a full name over all attributes."""
        return sum(count for (known, _), count in self.sums().items() if known == name)

    def __str__(self) -> str:
        names = sorted({name for name, _ in self.sums()})
        return " ".join(f"{name}={self.total(name)}" for name in names) or "nothing was received"
