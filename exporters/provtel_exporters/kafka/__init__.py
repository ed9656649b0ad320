"""Kafka: the exporter, one record for each OTLP request, unparsed; and a reader of what comes into topics."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_exporters.kafka.config import KafkaConfig
from provtel_exporters.kafka.exporter import KafkaExporter
from provtel_exporters.kafka.reader import KafkaReader, open_reader

__all__ = ["KafkaConfig", "KafkaExporter", "KafkaReader", "factory", "open_reader"]

factory: Final = Factory("kafka", KafkaConfig, KafkaExporter)
