"""Who can reach the otlp receiver, and how: TLS on both sides, tokens, pages of other origins, socket files."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from provtel_collector.extensions import basicauth, bearertokenauth
from provtel_collector.extensions.basicauth.config import BasicAuthConfig, ClientAuthConfig, HtpasswdConfig
from provtel_collector.extensions.bearertokenauth.config import BearerTokenAuthConfig
from provtel_collector.receivers.otlp.config import AuthConfig, GrpcConfig, HttpConfig
from provtel_collector.receivers.otlp.cross_origin import CorsConfig
from provtel_exporters.otlp import config as exporting
from provtel_exporters.otlp import otlp_grpc, otlp_http
from provtel_model.components import Context
from provtel_model.errors import ConfigError, PermanentError, RetryableError
from provtel_model.settings import Duration, Secret
from provtel_model.tls import ClientTls, ServerTls

from tests.collector.certificates import Authority, Certificate
from tests.collector.otlp_receivers import receiving
from tests.collector.parts import Recorder, batch, traces


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Make an authority."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Certificate:
    """Make the certificate of a server on this machine."""
    return authority.sign("server")


def served(certificate: Certificate, **keys: Any) -> ServerTls:
    """Return how a server shows a certificate."""
    return ServerTls(certificate.certificate, certificate.key, **keys)


def send(address: str, extensions: dict[str, Any] | None = None, **keys: Any) -> None:
    """Send a batch by the exporter of the address's protocol."""
    context = Context("exporter", {}, lambda *_: None, extensions=extensions or {})
    if address.startswith("grpc") or "grpc" in address:
        address = address.replace("grpcs://", "https://").replace("grpc://", "http://")
        exporter = otlp_grpc.create(exporting.OtlpGrpcConfig(address, **keys), context)
    else:
        exporter = otlp_http.create(exporting.OtlpHttpConfig(address, **keys), context)
    exporter.start()
    try:
        exporter.consume(batch())
    finally:
        exporter.shutdown()


def named(address: str) -> str:
    """Return an address by the name that certificates have."""
    return address.replace("127.0.0.1", "localhost")


def test_tls(authority: Authority, server: Certificate) -> None:
    """Both protocols speak TLS with who trusts the authority, and with nobody else."""
    recorder = Recorder()
    tls = served(server)
    with receiving(
        recorder, http=HttpConfig("localhost:0", tls=tls), grpc=GrpcConfig("localhost:0", tls=tls)
    ) as receiver:
        assert [address.partition(":")[0] for address in receiver.addresses] == ["https", "grpcs"]
        for address in receiver.addresses:
            send(named(address), tls=ClientTls(ca_file=authority.file))
            send(address, tls=ClientTls(ca_file=authority.file, server_name_override="localhost"))
            send(address, tls=ClientTls(insecure_skip_verify=True))
            with pytest.raises(RetryableError, match="certificate verify failed"):
                send(named(address))
            with pytest.raises(RetryableError, match=r"not valid for|mismatch"):
                send(named(address), tls=ClientTls(ca_file=authority.file, server_name_override="other"))

    assert len(recorder.batches) == 6


def test_mutual_tls(authority: Authority, server: Certificate, tmp_path: Path) -> None:
    """A client whose certificate the authority did not sign, or that has none, is not let in."""
    recorder = Recorder()
    tls = served(server, client_ca_file=authority.file)
    mine, other = authority.sign("client"), Authority(tmp_path, "other").sign("client")
    with receiving(
        recorder, http=HttpConfig("localhost:0", tls=tls), grpc=GrpcConfig("localhost:0", tls=tls)
    ) as receiver:
        for address in receiver.addresses:
            client = ClientTls(ca_file=authority.file, cert_file=mine.certificate, key_file=mine.key)
            send(named(address), tls=client)
            with pytest.raises(RetryableError):
                send(named(address), tls=replace(client, cert_file=other.certificate, key_file=other.key))
            with pytest.raises(RetryableError):
                send(named(address), tls=ClientTls(ca_file=authority.file))

    assert len(recorder.batches) == 2


def test_old_tls(server: Certificate) -> None:
    """A client that speaks only an older TLS than allowed is not let in."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with receiving(Recorder(), http=HttpConfig("localhost:0", tls=served(server, min_version="1.3"))) as receiver:
        host, port = receiver.addresses[0].removeprefix("https://").split(":")
        with closing(socket.create_connection((host, int(port)), 10)) as connection, pytest.raises(ssl.SSLError):
            context.wrap_socket(connection)


def test_certificate_is_reloaded(authority: Authority, tmp_path: Path) -> None:
    """A certificate that was replaced on disk is shown to new connections; a broken one changes nothing."""
    first, second = authority.sign("first", "first.test"), authority.sign("second", "second.test")
    shown, key = tmp_path / "shown.pem", tmp_path / "shown.key"

    def show(certificate: Certificate) -> None:
        shown.write_bytes(Path(certificate.certificate).read_bytes())
        key.write_bytes(Path(certificate.key).read_bytes())

    def trusted(name: str) -> Callable[[], None]:
        return lambda: send(
            receiver.addresses[0], tls=ClientTls(ca_file=authority.file, server_name_override=name), timeout=Duration(5)
        )

    show(first)
    tls = ServerTls(str(shown), str(key), reload_interval=Duration(0.05))
    with receiving(Recorder(), http=HttpConfig("localhost:0", tls=tls)) as receiver:
        trusted("first.test")()
        show(second)
        eventually(trusted("second.test"))
        shown.write_text("broken")
        time.sleep(0.2)
        trusted("second.test")()


def eventually(action: Callable[[], None]) -> None:
    """Try until it works."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return action()
        except RetryableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"cert_file": "/missing"}, r"protocols::http::tls: cert_file: cannot read /missing: No such file"),
        ({"key_file": "/missing"}, r"protocols::http::tls: key_file: cannot read /missing: No such file"),
        ({"key_file": os.devnull}, r"tls: cert_file, key_file: .* are no certificate in PEM form and its private key"),
        ({"client_ca_file": "/missing"}, r"tls: client_ca_file: cannot read /missing: No such file"),
        ({"client_ca_file": os.devnull}, r"tls: client_ca_file: /dev/null holds no certificates in PEM form"),
    ],
)
def test_files_of_tls(server: Certificate, keys: dict[str, Any], message: str) -> None:
    """A file that is missing or is something else is told with its key and its path."""
    tls = replace(served(server), **keys)

    with pytest.raises(ConfigError, match=message), receiving(Recorder(), http=HttpConfig("localhost:0", tls=tls)):
        pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ServerTls("a"), "TLS of a server needs both cert_file and key_file"),
        (lambda: ServerTls("a", "b", min_version="1.4"), 'min_version: unsupported TLS version: "1.4"'),
        (lambda: ServerTls("a", "b", min_version="1.3", max_version="1.2"), "min_version 1.3 is newer than"),
        (lambda: ClientTls(cert_file="a"), "provide both cert_file and key_file, or neither"),
    ],
)
def test_settings_of_tls(make: Callable[[], object], message: str) -> None:
    """Settings of TLS that nobody could speak by are refused."""
    with pytest.raises(ValueError, match=message):
        make()


TOKEN = bearertokenauth.factory.create(BearerTokenAuthConfig(token=Secret("t")), Context("t", {}, lambda *_: None))
PASSWORD = basicauth.factory.create(
    BasicAuthConfig(HtpasswdConfig(inline=Secret("node:secret"))), Context("p", {}, lambda *_: None)
)
WHO = basicauth.factory.create(
    BasicAuthConfig(client_auth=ClientAuthConfig("node", Secret("secret"))), Context("w", {}, lambda *_: None)
)
EXTENSIONS = {"bearertokenauth": TOKEN, "basicauth": PASSWORD, "basicauth/client": WHO}


@pytest.mark.parametrize(
    ("theirs", "ours"), [("bearertokenauth", "bearertokenauth"), ("basicauth", "basicauth/client")]
)
def test_auth(theirs: str, ours: str) -> None:
    """Who has the token, or the password, is let in by either protocol; who has not is refused for good."""
    PASSWORD.start()
    recorder = Recorder()
    auth = AuthConfig(theirs)
    with receiving(
        recorder,
        http=HttpConfig("localhost:0", auth=auth),
        grpc=GrpcConfig("localhost:0", auth=auth),
        extensions=EXTENSIONS,
    ) as receiver:
        for address in receiver.addresses:
            send(address, EXTENSIONS, auth=exporting.AuthConfig(ours))
            send(address, headers={name: Secret(value) for name, value in EXTENSIONS[ours].headers().items()})
            with pytest.raises(PermanentError, match=r"answered (401|UNAUTHENTICATED): "):
                send(address)
            with pytest.raises(PermanentError, match=r"answered (401|UNAUTHENTICATED): "):
                send(address, headers={"Authorization": Secret("Bearer x")})

    assert recorder.batches == [batch()] * 4


def test_auth_that_is_not_there() -> None:
    """An authenticator that nobody configured, or that is for the other side, is an error at the start."""
    for name, message in (("oidc", 'failed to resolve authenticator "oidc"'), ("basicauth/client", "no server auth")):
        http = HttpConfig("localhost:0", auth=AuthConfig(name))
        with (
            pytest.raises(ConfigError, match=rf"protocols::http::auth: .*{message}"),
            receiving(Recorder(), http=http, extensions=EXTENSIONS),
        ):
            pass
    with pytest.raises(ConfigError, match=r'exporters::exporter::auth: failed to resolve authenticator "oidc"'):
        send("http://localhost:1", auth=exporting.AuthConfig("oidc"))
    with pytest.raises(ConfigError, match=r'exporters::exporter::auth: "basicauth" is no client authenticator'):
        send("http://localhost:1", EXTENSIONS, auth=exporting.AuthConfig("basicauth"))


def test_metadata_is_included_on_request() -> None:
    """What follows is told the headers of a request where that is asked for, but no secrets."""
    recorder = Recorder()
    told = {"X-Tenant": Secret("a"), "Authorization": Secret("Bearer t")}
    with receiving(
        recorder,
        http=HttpConfig("localhost:0", include_metadata=True),
        grpc=GrpcConfig("localhost:0", include_metadata=True),
    ) as receiver:
        for address in receiver.addresses:
            send(address, headers=told)
    for received in recorder.batches:
        assert received.metadata["x-tenant"] == "a"
        assert not [name for name in received.metadata if name == "authorization" or name.startswith(":")]


def test_metadata_has_no_secret_of_any_name() -> None:
    """A header that the authenticator reads, or whose name tells of a secret, is told to nobody."""
    names = ("X-Door", "X-Api-Key", "X-Auth-Token", "My-Secret", "Proxy-Authorization")
    recorder = Recorder()
    auth = bearertokenauth.factory.create(
        BearerTokenAuthConfig(header="X-Door", scheme="", token=Secret("open")), Context("a", {}, lambda *_: None)
    )
    with receiving(
        recorder,
        http=HttpConfig("localhost:0", auth=AuthConfig("a"), include_metadata=True),
        grpc=GrpcConfig("localhost:0", auth=AuthConfig("a"), include_metadata=True),
        extensions={"a": auth},
    ) as receiver:
        for address in receiver.addresses:
            send(address, headers={**dict.fromkeys(names, Secret("open")), "X-Tenant": Secret("b")})
    assert len(recorder.batches) == 2
    for received in recorder.batches:
        assert received.metadata["x-tenant"] == "b"
        assert "open" not in received.metadata.values()


def asked(address: str, method: str, headers: dict[str, str], body: bytes = b"") -> http.client.HTTPResponse:
    """Ask as a browser does."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    with closing(connection):
        connection.request(method, "/v1/traces", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer


def test_pages_of_other_origins() -> None:
    """A browser is told that a page of an allowed origin may send, and of another that it may not."""
    cors = CorsConfig(("https://*.example",), ("X-Key",), ("X-Seen",), 60)
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Content-Type, x-key"}
    with receiving(Recorder(), http=HttpConfig("localhost:0", cors=cors)) as receiver:
        address = receiver.addresses[0]
        allowed = asked(address, "OPTIONS", {"Origin": "https://a.example", **preflight})
        other = asked(address, "OPTIONS", {"Origin": "https://evil.test", **preflight})
        header = asked(
            address,
            "OPTIONS",
            {"Origin": "https://a.example", **preflight, "Access-Control-Request-Headers": "X-Evil"},
        )
        sent = asked(
            address, "POST", {"Origin": "https://a.example", "Content-Type": "application/x-protobuf"}, traces()
        )
        plain = asked(address, "OPTIONS", {})

    assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (204, "https://a.example")
    assert allowed.headers["access-control-allow-methods"] == "POST"
    assert allowed.headers["access-control-allow-headers"] == "content-type, x-key"
    assert allowed.headers["access-control-max-age"] == "60"
    assert (other.status, other.headers["access-control-allow-origin"]) == (204, None)
    assert header.headers["access-control-allow-methods"] is None
    assert (sent.status, sent.headers["access-control-allow-origin"]) == (200, "https://a.example")
    assert sent.headers["access-control-expose-headers"] == "X-Seen"
    assert plain.status == 405


def test_every_answer_has_the_headers_that_were_asked_for() -> None:
    """Headers of the configuration are on answers of every kind, and any origin is any origin."""
    http_config = HttpConfig("localhost:0", cors=CorsConfig(("*",)), response_headers={"X-Served-By": "provtel"})
    with receiving(Recorder(), http=http_config) as receiver:
        taken = asked(
            receiver.addresses[0], "POST", {"Content-Type": "application/x-protobuf", "Origin": "x"}, traces()
        )
        refused = asked(receiver.addresses[0], "GET", {})

    assert (taken.headers["x-served-by"], refused.headers["x-served-by"]) == ("provtel", "provtel")
    assert taken.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("spelled", ["unix://{}", "unix:{}", "{}"])
def test_socket_files(tmp_path: Path, spelled: str) -> None:
    """A receiver listens at a socket file, replaces one that is left over, and takes its own away."""
    file = tmp_path / "otlp.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(file))
    transport: Any = "unix" if spelled == "{}" else "tcp"
    recorder = Recorder()
    with receiving(recorder, grpc=GrpcConfig(spelled.format(file), transport)) as receiver:
        assert receiver.addresses == (f"unix://{file}",)
        exporter = otlp_grpc.create(
            exporting.OtlpGrpcConfig(f"unix://{file}", tls=ClientTls(insecure=True)), Context("e", {}, lambda *_: None)
        )
        exporter.start()
        exporter.consume(batch())
        exporter.shutdown()
        with (
            pytest.raises(ConfigError, match="address already in use"),
            receiving(Recorder(), grpc=GrpcConfig(f"unix://{file}")),
        ):
            pass
    assert recorder.batches == [batch()]
    assert not file.exists()


def test_http_at_a_socket_file(tmp_path: Path) -> None:
    """HTTP is spoken at a socket file too."""
    recorder = Recorder()
    with receiving(recorder, http=HttpConfig(f"unix://{tmp_path}/http.sock")), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(f"{tmp_path}/http.sock")
        body = traces()
        head = (
            f"POST /v1/traces HTTP/1.0\r\nContent-Type: application/x-protobuf\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        client.sendall(head.encode() + body)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")

    assert recorder.batches == [batch()]


def test_relative_socket_file_is_refused() -> None:
    """A socket file whose place would depend on where the collector was started is refused."""
    with pytest.raises(ValueError, match="write the whole path of the socket"):
        GrpcConfig("unix:otlp.sock")
