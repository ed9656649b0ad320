"""The component types that the OpenTelemetry Collector has too: a file that names no others runs on both."""

from __future__ import annotations

from typing import Final

from provtel_collector_config.ids import Kind

_SHARED: Final = {
    Kind.RECEIVERS: frozenset({"kafka", "otlp", "otlp_json_file"}),
    Kind.PROCESSORS: frozenset({"attributes", "batch", "filter", "memory_limiter", "redaction", "resource"}),
    Kind.EXPORTERS: frozenset({"debug", "file", "kafka", "nop", "otlp", "otlp_grpc", "otlp_http", "otlphttp"}),
    Kind.CONNECTORS: frozenset({"forward", "routing"}),
    Kind.EXTENSIONS: frozenset({"basicauth", "bearertokenauth", "file_storage", "health_check", "zpages"}),
}


def is_shared(kind: Kind, type_: str) -> bool:
    """Return whether the OpenTelemetry Collector has a component type of this name, with the keys that ours has."""
    return type_ in _SHARED[kind]
