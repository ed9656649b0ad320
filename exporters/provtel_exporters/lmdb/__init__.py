"""The embedded store: LMDB files in the folder ``lmdb/`` of a store, written and read without any server."""

from __future__ import annotations

from provtel_exporters.lmdb.config import LmdbConfig
from provtel_exporters.lmdb.exporter import LmdbExporter, factory
from provtel_exporters.lmdb.opening import open_reader, open_writer
from provtel_exporters.lmdb.reader import LmdbReader
from provtel_exporters.lmdb.writer import LmdbWriter

__all__ = ["LmdbConfig", "LmdbExporter", "LmdbReader", "LmdbWriter", "factory", "open_reader", "open_writer"]
