"""Files of OTLP, a request a line: the ``file`` exporter, and a store that is a file, written and read."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_exporters.file.config import FileConfig
from provtel_exporters.file.exporter import FileExporter
from provtel_exporters.file.reader import FileReader, open_reader
from provtel_exporters.file.writer import FileWriter, open_writer

__all__ = ["FileConfig", "FileExporter", "FileReader", "FileWriter", "factory", "open_reader", "open_writer"]

factory: Final = Factory("file", FileConfig, FileExporter)
"""What a user writes for the ``file`` exporter; keys and formats are the OpenTelemetry Collector's."""
