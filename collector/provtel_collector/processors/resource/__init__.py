"""The ``resource`` processor: changes the attributes of resources."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.processors.resource.config import ResourceConfig
from provtel_collector.processors.resource.processor import make_processor

factory: Final = Factory("resource", ResourceConfig, make_processor)
"""What a user writes for the ``resource`` processor; keys and meanings are the OpenTelemetry Collector's."""
