"""The ``filter`` processor: drops what is not wanted."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.processors.filter.config import FilterConfig
from provtel_collector.processors.filter.processor import make_processor

factory: Final = Factory("filter", FilterConfig, make_processor)
"""What a user writes for the ``filter`` processor; keys and meanings are the OpenTelemetry Collector's."""
