"""The ``health_check`` extension: answers whether the collector is ready."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.extensions.health_check.config import HealthCheckConfig
from provtel_collector.extensions.health_check.extension import HealthCheck

factory: Final = Factory("health_check", HealthCheckConfig, HealthCheck)
