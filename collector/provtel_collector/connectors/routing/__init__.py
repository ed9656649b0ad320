"""The ``routing`` connector: sends data to pipelines by conditions."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.connectors.routing.config import RoutingConfig
from provtel_collector.connectors.routing.connector import RoutingConnector

factory: Final = Factory("routing", RoutingConfig, RoutingConnector)
"""What a user writes for the ``routing`` connector; keys and meanings are the OpenTelemetry Collector's."""
