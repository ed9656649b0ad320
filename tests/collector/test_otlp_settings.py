"""Every key of OTLP that the OpenTelemetry Collector's files have is understood here, too."""

from __future__ import annotations

import subprocess
from pathlib import Path

from provtel_collector.receivers.otlp.config import OtlpConfig
from provtel_collector.registry import find_factories
from provtel_collector_config.ids import ComponentId, Kind
from provtel_collector_config.loading import load
from provtel_exporters.otlp.config import OtlpGrpcConfig, OtlpHttpConfig

from tests.services.found import Found

FILE = Path(__file__).parent / "every_key_of_otlp.yaml"


def test_file_is_accepted_by_both(found_otelcol: Found) -> None:
    """The file that uses every key is accepted by the OpenTelemetry Collector."""
    done = subprocess.run(
        [found_otelcol.binary, "validate", "--config", FILE], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_file_means_what_it_says() -> None:
    """A protocol without keys has its defaults; sizes, durations and secrets are what they say."""
    components = load([str(FILE)], find_factories()).components
    bare, full = (components[Kind.RECEIVERS][ComponentId.parse(name)].config for name in ("otlp", "otlp/full"))
    grpc, http = (components[Kind.EXPORTERS][ComponentId.parse(name)].config for name in ("otlp", "otlphttp"))

    assert isinstance(bare, OtlpConfig)
    assert isinstance(full, OtlpConfig)
    assert bare.protocols.grpc is not None
    assert bare.protocols.http is not None
    assert full.protocols.grpc is not None
    assert full.protocols.http is not None
    assert (bare.protocols.grpc.endpoint, bare.protocols.grpc.size_limit) == ("localhost:4317", 4 * 2**20)
    assert (bare.protocols.http.endpoint, bare.protocols.http.size_limit) == ("localhost:4318", 20 * 2**20)
    keeping = full.protocols.grpc.keeping
    assert (keeping.streams, keeping.idle, keeping.age, keeping.grace, keeping.their_ping) == (10, 11, 12, 13, 10)
    assert full.protocols.grpc.size_limit == 16 * 2**20
    assert full.protocols.http.patience.head == 5
    assert full.protocols.http.cors is not None
    assert full.protocols.http.cors.max_age == 7
    assert isinstance(grpc, OtlpGrpcConfig)
    assert isinstance(http, OtlpHttpConfig)
    assert (grpc.compression, grpc.timeout, grpc.insecure, str(grpc.headers["a"])) == ("zstd", 3.0, True, "[REDACTED]")
    assert (http.encoding, http.compression_params.level, http.timeout, http.idle_connections) == ("json", 3, 30.0, 10)
