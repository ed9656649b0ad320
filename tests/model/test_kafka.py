"""Settings that clients of Kafka share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest
from provtel_model.errors import ConfigError, UserError
from provtel_model.kafka import Auth, KafkaClient, PlainText, Sasl, connection, need_package
from provtel_model.settings import Duration, Secret
from provtel_model.tls import ClientTls

SOURCE = "tokens"


class Tokens:
    """An extension whose token changes."""

    def __init__(self) -> None:
        """Begin with the first."""
        self.number = 0

    def start(self) -> None:
        """Need nothing."""

    def shutdown(self) -> None:
        """Release nothing."""

    def headers(self) -> Mapping[str, str]:
        """Return another token each time."""
        self.number += 1
        return {"authorization": f"bearer token-{self.number}"}


class Nothing:
    """An extension that has no token."""

    def start(self) -> None:
        """Need nothing."""

    def shutdown(self) -> None:
        """Release nothing."""


def test_defaults_are_those_of_the_opentelemetry_collector() -> None:
    """Where nothing is written, clients connect as the OpenTelemetry Collector's do."""
    arguments = connection(KafkaClient(), {})

    assert arguments["bootstrap_servers"] == ["localhost:9092"]
    assert arguments["client_id"] == "otel-collector"
    assert arguments["security_protocol"] == "PLAINTEXT"
    assert arguments["metadata_max_age_ms"] == 600_000
    assert arguments["connections_max_idle_ms"] == 540_000
    assert arguments["api_version"] is None


@pytest.mark.parametrize(
    ("auth", "tls", "protocol"),
    [
        (Auth(), None, "PLAINTEXT"),
        (Auth(), ClientTls(), "SSL"),
        (Auth(), ClientTls(insecure=True), "PLAINTEXT"),
        (Auth(tls=ClientTls()), None, "SSL"),
        (Auth(tls=ClientTls()), ClientTls(insecure=True), "PLAINTEXT"),
        (Auth(Sasl("PLAIN", "a", Secret("b"))), None, "SASL_PLAINTEXT"),
        (Auth(plain_text=PlainText("a", Secret("b"))), ClientTls(), "SASL_SSL"),
    ],
)
def test_protocol_follows_from_tls_and_login(auth: Auth, tls: ClientTls | None, protocol: str) -> None:
    """TLS and SASL are spoken where they are asked for, under their older keys too."""
    arguments = connection(KafkaClient(auth=auth, tls=tls), {})

    assert arguments["security_protocol"] == protocol
    assert (arguments["ssl_context"] is not None) == ("SSL" in protocol)
    assert ("sasl_mechanism" in arguments) == protocol.startswith("SASL")


@pytest.mark.parametrize(
    ("text", "version"), [("2.1.0", (2, 1)), ("4.1", (4, 1)), ("v3.9.0", (3, 9)), ("0.10.2.1", (0, 10)), ("", None)]
)
def test_version_is_understood(text: str, version: tuple[int, int] | None) -> None:
    """A version is written as Kafka names its releases."""
    assert connection(KafkaClient(protocol_version=text), {})["api_version"] == version


def test_token_is_asked_for_each_time() -> None:
    """A token comes from its extension whenever a client logs in, without the word that HTTP puts before it."""
    config = KafkaClient(auth=Auth(Sasl("OAUTHBEARER", oauthbearer_token_source=SOURCE)))

    provider = connection(config, {SOURCE: Tokens()})["sasl_oauth_token_provider"]

    assert [provider.token(), provider.token()] == ["token-1", "token-2"]


def test_extension_without_a_token_is_refused() -> None:
    """An extension that has no token cannot be its source."""
    config = KafkaClient(auth=Auth(Sasl("OAUTHBEARER", oauthbearer_token_source=SOURCE)))

    with pytest.raises(ConfigError, match=f'extension "{SOURCE}" has no token'):
        connection(config, {SOURCE: Nothing()})


def test_two_logins_are_refused() -> None:
    """One of the two keys for a login is enough."""
    with pytest.raises(ValueError, match="cannot both be set"):
        Auth(Sasl("PLAIN", "a", Secret("b")), PlainText("a", Secret("b")))


def test_other_name_is_looked_for_in_the_certificate() -> None:
    """Where a name is given, the certificate must have it, whatever the broker is called."""
    tls = ClientTls(server_name_override="brokers.example")
    context = connection(KafkaClient(tls=tls), {})["ssl_context"]
    seen: list[object] = []
    context.sslsocket_class = type(
        "Seen", (), {"_create": staticmethod(lambda **others: seen.append(others["server_hostname"]))}
    )

    context.wrap_socket(None, server_hostname="10.0.0.1")

    assert seen == ["brokers.example"]


@pytest.mark.parametrize("missing", ["kafka", "crc32c"])
def test_missing_package_names_the_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error says what to install."""
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(UserError, match=rf'the exporter kafka needs {missing}; run: pip install "provtel\[kafka\]"'):
        need_package("the exporter kafka")


def test_idle_connections_are_closed_some_time() -> None:
    """A time that is none is refused."""
    with pytest.raises(ValueError, match="conn_idle_timeout must be positive"):
        KafkaClient(conn_idle_timeout=Duration(0))


GIVING_UP = """
import gc, socket, sys, threading
from kafka import KafkaConsumer
from kafka.errors import KafkaError
from provtel_model import kafka
from provtel_model.tls import ClientTls

kafka._HANDSHAKE_SECONDS = 0.2
kept = []

def answer(server):
    while True:
        taken, _ = server.accept()
        taken.close() if sys.argv[1] == "hangs up" else kept.append(taken)

server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=answer, args=(server,), daemon=True).start()
client = kafka.KafkaClient((f"127.0.0.1:{server.getsockname()[1]}",), tls=ClientTls(insecure_skip_verify=True))
try:
    kafka.connected(KafkaConsumer, {**kafka.connection(client, {}), "bootstrap_timeout_ms": 500})
except KafkaError:
    gc.collect()
    print("given up")
"""


@pytest.mark.parametrize("server", ["mute", "hangs up"])
def test_broker_that_speaks_no_tls_is_given_up(server: str) -> None:
    """A handshake that is not answered ends, and so does one that fails; neither leaves its socket open."""
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", GIVING_UP, server]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "given up\n"), done.stderr
    assert "SSLSocket" not in done.stderr
