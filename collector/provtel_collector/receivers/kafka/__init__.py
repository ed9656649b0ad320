"""The ``kafka`` receiver: takes OTLP requests from topics, and commits what the pipelines took."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.receivers.kafka.config import KafkaConfig
from provtel_collector.receivers.kafka.receiver import KafkaReceiver

factory: Final = Factory("kafka", KafkaConfig, KafkaReceiver)
