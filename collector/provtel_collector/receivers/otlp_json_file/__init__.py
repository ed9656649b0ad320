"""The ``otlp_json_file`` receiver: reads files of OTLP in JSON, a request a line."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.receivers.otlp_json_file.config import OtlpJsonFileConfig
from provtel_collector.receivers.otlp_json_file.receiver import OtlpJsonFileReceiver

factory: Final = Factory("otlp_json_file", OtlpJsonFileConfig, OtlpJsonFileReceiver)
"""What a user writes for the ``otlp_json_file`` receiver; keys are the OpenTelemetry Collector's."""
