"""MongoDB as a store: one document a record, which MongoDB's own clients can query, and everything read back."""

from __future__ import annotations

from provtel_exporters.mongodb.config import MongodbConfig
from provtel_exporters.mongodb.exporter import MongodbExporter, factory
from provtel_exporters.mongodb.opening import open_reader, open_writer

__all__ = ["MongodbConfig", "MongodbExporter", "factory", "open_reader", "open_writer"]
