"""The ``memory_limiter`` processor: refuses data while the collector uses too much memory."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.processors.memory_limiter.config import MemoryLimiterConfig
from provtel_collector.processors.memory_limiter.processor import MemoryLimiter

factory: Final = Factory("memory_limiter", MemoryLimiterConfig, MemoryLimiter)
"""What a user writes for the ``memory_limiter`` processor; keys and defaults are the OpenTelemetry Collector's."""
