"""The ``batch`` processor: puts small requests together, and answers each when all of it was taken."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.processors.batch.config import BatchConfig
from provtel_collector.processors.batch.processor import BatchProcessor

factory: Final = Factory("batch", BatchConfig, BatchProcessor)
"""What a user writes for the ``batch`` processor; keys and defaults are the OpenTelemetry Collector's."""
