"""The ``provenance`` processor: checks and completes what tells of activities."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory, Signal

from provtel_collector.processors.provenance.config import ProvenanceConfig
from provtel_collector.processors.provenance.processor import make_processor

factory: Final = Factory("provenance", ProvenanceConfig, make_processor, frozenset({Signal.TRACES, Signal.LOGS}))
"""What a user writes for the ``provenance`` processor."""
