"""The ``redis`` exporter: one entry of a stream for each OTLP request, unparsed, as durable as the server makes it."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_exporters.redis.config import RedisConfig
from provtel_exporters.redis.exporter import RedisExporter

factory: Final = Factory("redis", RedisConfig, RedisExporter)
