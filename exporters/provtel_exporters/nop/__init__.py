"""The ``nop`` exporter: takes everything and keeps nothing."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_exporters.nop.config import NopConfig
from provtel_exporters.nop.exporter import NopExporter

factory: Final = Factory("nop", NopConfig, NopExporter)
"""What a user writes for the ``nop`` exporter: nothing."""
