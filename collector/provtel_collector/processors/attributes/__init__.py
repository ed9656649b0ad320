"""The ``attributes`` processor: changes the attributes of spans, log records and data points."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.processors.attributes.config import AttributesConfig
from provtel_collector.processors.attributes.processor import make_processor

factory: Final = Factory("attributes", AttributesConfig, make_processor)
"""What a user writes for the ``attributes`` processor; keys and meanings are the OpenTelemetry Collector's."""
