"""The ``file`` exporter: writes OTLP to files, a request a line."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_exporters.file.config import FileConfig
from provtel_exporters.file.exporter import FileExporter

factory: Final = Factory("file", FileConfig, FileExporter)
"""What a user writes for the ``file`` exporter; keys and formats are the OpenTelemetry Collector's."""
