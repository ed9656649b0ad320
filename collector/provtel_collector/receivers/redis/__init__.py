"""The ``redis`` receiver: takes OTLP requests from streams, and acknowledges what the pipelines took."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.receivers.redis.config import RedisConfig
from provtel_collector.receivers.redis.receiver import RedisReceiver

factory: Final = Factory("redis", RedisConfig, RedisReceiver)
