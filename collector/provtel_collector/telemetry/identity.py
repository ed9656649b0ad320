"""Which collector this is, as its metrics and its log tell it."""

from __future__ import annotations

import functools
import uuid
from importlib.metadata import version
from typing import TYPE_CHECKING

from provtel_model import attributes as names

if TYPE_CHECKING:
    from provtel_collector_config.telemetry import TelemetryConfig


def identity(config: TelemetryConfig) -> dict[str, str]:
    """Return the attributes of this collector; a key whose value is null in the configuration is left out."""
    usual = {
        names.SERVICE_INSTANCE_ID: _instance(),
        names.SERVICE_NAME: "provtel",
        names.SERVICE_VERSION: version("provtel"),
    }
    return {key: value for key, value in {**usual, **config.resource}.items() if value is not None}


@functools.cache
def _instance() -> str:
    return str(uuid.uuid4())
