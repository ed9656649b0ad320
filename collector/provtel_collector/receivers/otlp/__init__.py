"""The ``otlp`` receiver: takes what OpenTelemetry SDKs and collectors send."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.receivers.otlp.config import OtlpConfig
from provtel_collector.receivers.otlp.receiver import OtlpReceiver

factory: Final = Factory("otlp", OtlpConfig, OtlpReceiver)
