"""What is measured, and what is to be reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Route = Literal["kafka", "queue"]
Document = dict[str, Any]

# More than all requests of a round: the OpenTelemetry Collector refuses what its queue has no room for.
_QUEUE_SIZE: Final = 100_000


@dataclass(frozen=True)
class Case:
    """One way through a collector.

    Attributes:
        title: For people.
        protocol: By which requests come in.
        route: Where they go: to Kafka, or through a queue on disk to an OTLP/HTTP endpoint.
        spans: In each request.
        connections: How many requests are under way at once.
        requests: How many there are in a round.
    """

    title: str
    protocol: Literal["http", "grpc"]
    route: Route
    spans: int
    connections: int
    requests: int


CASES: Final = {
    "http-kafka": Case("OTLP/HTTP to Kafka, 512 spans a request", "http", "kafka", 512, 8, 800),
    "grpc-kafka": Case("OTLP/gRPC to Kafka, 512 spans a request", "grpc", "kafka", 512, 8, 800),
    "http-queue": Case(
        "OTLP/HTTP through a queue on disk to OTLP/HTTP, 512 spans a request", "http", "queue", 512, 8, 400
    ),
    "singles": Case("OTLP/HTTP through a queue on disk, one span a request", "http", "queue", 1, 32, 4000),
}


@dataclass(frozen=True)
class Target:
    """What is to be reached.

    Attributes:
        title: For people.
        case: Where.
        figure: Which figure of ours; a ratio is to that of the OpenTelemetry Collector.
        limit: The limit.
        at_least: It is to be reached from above.
    """

    title: str
    case: str
    figure: str
    limit: float
    at_least: bool = False


TARGETS: Final = (
    Target("OTLP/HTTP to Kafka: CPU per span, of the OpenTelemetry Collector's", "http-kafka", "cpu_us_ratio", 0.45),
    Target("OTLP/HTTP to Kafka: peak memory, MB", "http-kafka", "memory_mb", 100),
    Target("OTLP/gRPC to Kafka: CPU per span, of the OpenTelemetry Collector's", "grpc-kafka", "cpu_us_ratio", 0.6),
    Target(
        "through a queue on disk: CPU per span, of the OpenTelemetry Collector's", "http-queue", "cpu_us_ratio", 1.0
    ),
    Target(
        "one span a request, each on disk before its answer: requests a second",
        "singles",
        "per_second",
        2000,
        at_least=True,
    ),
    Target("200 idle clients: more CPU than without, percent of a core", "idle", "cpu_percent", 0.5),
)


def document(case: Case, port: int, goal: str, topic: str, folder: str) -> Document:
    """Return the configuration of a route; both collectors get the same.

    Args:
        case: What is measured.
        port: Where requests come in.
        goal: The address of the broker or of the endpoint.
        topic: The topic, for Kafka.
        folder: Where the queue on disk is.
    """
    receiver = {"protocols": {case.protocol: {"endpoint": f"127.0.0.1:{port}"}}}
    made: Document = {
        "receivers": {"otlp": receiver},
        "service": {"telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}}},
    }
    if case.route == "kafka":
        made["exporters"] = {"kafka": {"brokers": [goal], "traces": {"topic": topic}}}
    else:
        made["extensions"] = {"file_storage": {"directory": folder, "fsync": True}}
        made["service"]["extensions"] = ["file_storage"]
        queue = {"storage": "file_storage", "queue_size": _QUEUE_SIZE}
        made["exporters"] = {"otlp_http": {"endpoint": goal, "compression": "none", "sending_queue": queue}}
    made["service"]["pipelines"] = {"traces": {"receivers": ["otlp"], "exporters": list(made["exporters"])}}
    return made
