"""The ``redaction`` processor: removes, masks or hashes what must not go on."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.processors.redaction.config import RedactionConfig
from provtel_collector.processors.redaction.processor import make_processor

factory: Final = Factory("redaction", RedactionConfig, make_processor)
"""What a user writes for the ``redaction`` processor; keys and meanings are the OpenTelemetry Collector's."""
