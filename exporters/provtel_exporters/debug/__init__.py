"""The ``debug`` exporter: writes what it is given to the log, for a person to look at, and keeps nothing."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_exporters.debug.config import DebugConfig
from provtel_exporters.debug.exporter import DebugExporter

factory: Final = Factory("debug", DebugConfig, DebugExporter)
