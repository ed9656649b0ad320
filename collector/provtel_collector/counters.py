"""What the collector counts of itself, under the names that the OpenTelemetry Collector gives it."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from provtel_model.components import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PREFIX: Final = "otelcol_"
ITEMS: Final = {Signal.TRACES: "spans", Signal.METRICS: "metric_points", Signal.LOGS: "log_records"}
"""What the items of a signal are called in the names of metrics."""

Attributes = tuple[tuple[str, str], ...]

_ITEM_BOUNDS: Final = (
    *(10, 25, 50, 75, 100, 250, 500, 750, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000),
    *(10_000, 20_000, 30_000, 50_000, 100_000),
)
_BYTE_BOUNDS: Final = tuple(2**exponent for exponent in (*range(7, 21), 21, 22))
HISTOGRAMS: Final[Mapping[str, tuple[int, ...]]] = {
    "processor_batch_batch_send_size": _ITEM_BOUNDS,
    "processor_batch_batch_send_size_bytes": _BYTE_BOUNDS,
    "exporter_queue_batch_send_size": _ITEM_BOUNDS,
    "exporter_queue_batch_send_size_bytes": _BYTE_BOUNDS,
}
"""What is not summed up but sorted by size: each count that is reported is one size."""


@dataclass(slots=True)
class Sizes:
    """How many sizes there were up to each bound.

    Args:
        bounds: The bounds.
        counts: How many there were between each two, and above the last.
        total: All sizes together.
    """

    bounds: tuple[int, ...]
    counts: list[int] = field(default_factory=list)
    total: int = 0

    def __post_init__(self) -> None:
        """Begin with none."""
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, size: int) -> None:
        """Count a size."""
        self.counts[bisect_left(self.bounds, size)] += 1
        self.total += size

    def copy(self) -> Sizes:
        """Return what there was until now."""
        return Sizes(self.bounds, list(self.counts), self.total)


class Counters:
    """Sums, gauges and sizes by name and attributes; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: Counter[tuple[str, Attributes]] = Counter()
        self._gauges: dict[tuple[str, Attributes], Callable[[], float]] = {}
        self._sizes: dict[tuple[str, Attributes], Sizes] = {}

    def add(self, name: str, count: int, attributes: Mapping[str, str]) -> None:
        """Add to the sum of a name and its attributes; where the name is one of sizes, count a size."""
        key = name, tuple(sorted(attributes.items()))
        with self._lock:
            if name not in HISTOGRAMS:
                self._sums[key] += count
            elif key in self._sizes:
                self._sizes[key].add(count)
            else:
                self._sizes[key] = Sizes(HISTOGRAMS[name])
                self._sizes[key].add(count)

    def sizes(self) -> dict[tuple[str, Attributes], Sizes]:
        """Return what there was of sizes, by full name and attributes."""
        with self._lock:
            return {(PREFIX + name, attributes): sizes.copy() for (name, attributes), sizes in self._sizes.items()}

    def sums(self) -> dict[tuple[str, Attributes], int]:
        """Return every sum, by full name and attributes."""
        with self._lock:
            return {(PREFIX + name, attributes): count for (name, attributes), count in self._sums.items()}

    def observe(self, name: str, read: Callable[[], float], attributes: Mapping[str, str]) -> None:
        """Know from now on how a gauge is read; one of the same name and attributes is replaced."""
        with self._lock:
            self._gauges[name, tuple(sorted(attributes.items()))] = read

    def forget(self, gauges: Iterable[tuple[str, Mapping[str, str], Callable[[], float]]]) -> None:
        """Show some gauges no more, as far as nobody else has replaced them since."""
        with self._lock:
            for name, attributes, read in gauges:
                key = name, tuple(sorted(attributes.items()))
                if self._gauges.get(key) is read:
                    del self._gauges[key]

    def gauges(self) -> dict[tuple[str, Attributes], float]:
        """Return what every gauge shows now, by full name and attributes; one that cannot be read is left out."""
        with self._lock:
            gauges = list(self._gauges.items())
        shown = {}
        for (name, attributes), read in gauges:
            with suppress(Exception):  # whoever it belongs to is stopping; the others can be read all the same
                shown[PREFIX + name, attributes] = read()
        return shown

    def total(self, name: str) -> int:
        """Return the sum of a full name over all attributes."""
        return sum(count for (known, _), count in self.sums().items() if known == name)

    def __str__(self) -> str:
        names = sorted({name for name, _ in self.sums()})
        return " ".join(f"{name}={self.total(name)}" for name in names) or "nothing was received"


class OwnCounters:
    """Counters of one service among others: its gauges go with it.

    Args:
        counters: What all services count in.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._gauges: list[tuple[str, Mapping[str, str], Callable[[], float]]] = []

    def add(self, name: str, count: int, attributes: Mapping[str, str]) -> None:
        """Add to the sum of a name and its attributes."""
        self._counters.add(name, count, attributes)

    def observe(self, name: str, read: Callable[[], float], attributes: Mapping[str, str]) -> None:
        """Know how a gauge is read, for as long as the service lives."""
        self._gauges.append((name, attributes, read))
        self._counters.observe(name, read, attributes)

    def forget(self) -> None:
        """Show the gauges no more."""
        self._counters.forget(self._gauges)
