"""A collector whose exporter takes its time, then writes a line for each span that it keeps."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from provtel_collector.process import run
from provtel_collector.registry import find_factories
from provtel_collector_config.ids import Kind
from provtel_collector_config.loading import load
from provtel_model.components import Batch, Context, Factory
from provtel_model.otlp import decode


@dataclass(frozen=True, slots=True)
class SlowConfig:
    """How slow, and where to write."""

    seconds: float
    file: str


class SlowExporter:
    """Waits, then writes."""

    def __init__(self, config: SlowConfig, _context: Context) -> None:
        """Keep what it was told."""
        self._config = config

    def start(self) -> None:
        """Need nothing."""

    def shutdown(self) -> None:
        """Release nothing."""

    def consume(self, batch: Batch) -> None:
        """Wait, then write the ids of the spans."""
        time.sleep(self._config.seconds)
        with Path(self._config.file).open("a", encoding="ascii") as file:
            file.writelines(f"{record['span_id']}\n" for record in decode(batch))


if __name__ == "__main__":
    factories = find_factories()
    factories[Kind.EXPORTERS] = {"slow": Factory("slow", SlowConfig, SlowExporter)}
    run(load([sys.argv[1]], factories), float(sys.argv[2]))
