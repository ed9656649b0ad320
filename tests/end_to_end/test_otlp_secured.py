"""From us to the OpenTelemetry Collector and back with TLS on both sides, tokens and passwords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from provtel_collector.extensions import basicauth, bearertokenauth
from provtel_collector.extensions.basicauth.config import BasicAuthConfig, ClientAuthConfig, HtpasswdConfig
from provtel_collector.extensions.bearertokenauth.config import BearerTokenAuthConfig
from provtel_collector.receivers.otlp.config import AuthConfig, GrpcConfig, HttpConfig
from provtel_exporters.otlp import config as exporting
from provtel_exporters.otlp import otlp_grpc, otlp_http
from provtel_model.components import Context, Signal
from provtel_model.errors import PermanentError
from provtel_model.settings import Secret
from provtel_model.tls import ClientTls, ServerTls

from tests.collector.certificates import Authority
from tests.collector.otlp_receivers import everything, parsed, receiving
from tests.collector.parts import Recorder
from tests.services.found import Found
from tests.services.otelcol.server import free_ports, running_as

LINE = "node:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
AT_ONCE = {"sending_queue": {"enabled": False}, "retry_on_failure": {"enabled": False}}


def extensions() -> dict[str, Any]:
    """Return our extensions: both sides of both kinds of auth."""
    made = {
        "bearertokenauth": bearertokenauth.factory.create(
            BearerTokenAuthConfig(token=Secret("t")), Context("b", {}, print)
        ),
        "basicauth": basicauth.factory.create(
            BasicAuthConfig(HtpasswdConfig(inline=Secret(LINE))), Context("s", {}, print)
        ),
        "basicauth/client": basicauth.factory.create(
            BasicAuthConfig(client_auth=ClientAuthConfig("node", Secret("secret"))), Context("c", {}, print)
        ),
    }
    for one in made.values():
        one.start()
    return made


THEIR_EXTENSIONS = {
    "bearertokenauth": {"token": "t"},
    "basicauth": {"htpasswd": {"inline": LINE}},
    "basicauth/client": {"client_auth": {"username": "node", "password": "secret"}},
}


@pytest.mark.parametrize(
    ("server", "client"), [("bearertokenauth", "bearertokenauth"), ("basicauth", "basicauth/client")]
)
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_both_ways(found_otelcol: Found, tmp_path: Path, protocol: str, server: str, client: str) -> None:
    """Our exporter proves itself to their receiver, their exporter to ours; without a token nothing passes."""
    authority = Authority(tmp_path)
    ours, theirs = authority.sign("ours"), authority.sign("theirs")
    shown = ServerTls(ours.certificate, ours.key, authority.file)
    (port,) = free_ports(1)
    recorder = Recorder()
    config: dict[str, Any] = {"tls": shown, "auth": AuthConfig(server)}
    doors: dict[str, Any] = {protocol: (GrpcConfig if protocol == "grpc" else HttpConfig)("localhost:0", **config)}
    with receiving(recorder, extensions=extensions(), **doors) as receiver:
        address = f"https://localhost:{receiver.addresses[0].rpartition(':')[2]}"
        files = {"ca_file": authority.file, "cert_file": theirs.certificate, "key_file": theirs.key}
        tls = {"cert_file": theirs.certificate, "key_file": theirs.key, "client_ca_file": authority.file}
        taking = {"endpoint": f"localhost:{port}", "tls": tls, "auth": {"authenticator": server}}
        giving = {"endpoint": address, "tls": files, "auth": {"authenticator": client}, **AT_ONCE}
        ends = {"receivers": ["otlp"], "exporters": [f"otlp_{protocol}"]}
        document = {
            "extensions": THEIR_EXTENSIONS,
            "receivers": {"otlp": {"protocols": {protocol: taking}}},
            "exporters": {f"otlp_{protocol}": giving},
            "service": {"extensions": list(THEIR_EXTENSIONS), "pipelines": {"traces": ends}},
        }
        with running_as(found_otelcol, tmp_path / "otelcol", document):
            ours_too = ClientTls(ca_file=authority.file, cert_file=ours.certificate, key_file=ours.key)
            send(protocol, port, tls=ours_too, auth=exporting.AuthConfig(client))
            with pytest.raises(PermanentError, match=r"401|UNAUTHENTICATED"):
                send(protocol, port, tls=ours_too)

    assert [parsed(batch) for batch in recorder.batches] == [parsed(everything(Signal.TRACES))]


def send(protocol: str, port: int, **keys: Any) -> None:
    """Send a batch by one of our exporters."""
    context = Context("exporter", {}, lambda *_: None, extensions=extensions())
    address = f"https://localhost:{port}"
    exporter = (
        otlp_grpc.create(exporting.OtlpGrpcConfig(address, **keys), context)
        if protocol == "grpc"
        else otlp_http.create(exporting.OtlpHttpConfig(address, **keys), context)
    )
    exporter.start()
    try:
        exporter.consume(everything(Signal.TRACES))
    finally:
        exporter.shutdown()
