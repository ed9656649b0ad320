"""The ``kafka`` exporter: one record for each OTLP request, unparsed, acknowledged by the brokers."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_exporters.kafka.config import KafkaConfig
from provtel_exporters.kafka.exporter import KafkaExporter

factory: Final = Factory("kafka", KafkaConfig, KafkaExporter)
