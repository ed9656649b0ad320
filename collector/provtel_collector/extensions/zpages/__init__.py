"""The ``zpages`` extension: pages that show a person what runs in this collector."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.extensions.zpages.config import ZPagesConfig
from provtel_collector.extensions.zpages.extension import ZPages

factory: Final = Factory("zpages", ZPagesConfig, ZPages)
"""What a user writes for the ``zpages`` extension; keys, defaults and paths are the OpenTelemetry Collector's."""
