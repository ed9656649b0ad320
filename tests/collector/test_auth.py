"""Tokens and passwords: who has one is let in, who has not is told so, and nobody is shown one."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from provtel_collector.extensions import basicauth, bearertokenauth
from provtel_collector.extensions.basicauth.config import BasicAuthConfig, ClientAuthConfig, HtpasswdConfig
from provtel_collector.extensions.bearertokenauth.config import BearerTokenAuthConfig
from provtel_collector.receivers.otlp.config import AuthConfig, GrpcConfig, HttpConfig
from provtel_model.components import Authenticator, Context, Credentials
from provtel_model.errors import ConfigError, UnauthenticatedError
from provtel_model.http2 import Flag, Kind, frame
from provtel_model.settings import Secret

from tests.collector.grpc_client import Raw, block
from tests.collector.otlp_receivers import receiving
from tests.collector.parts import Recorder

CONTEXT = Context("auth", {}, lambda *_: None)


def bearer(**keys: Any) -> Any:
    """Return a started bearertokenauth."""
    made = bearertokenauth.factory.create(BearerTokenAuthConfig(**keys), CONTEXT)
    made.start()
    return made


def known(lines: str) -> Any:
    """Return a started basicauth of a server."""
    made = basicauth.factory.create(BasicAuthConfig(htpasswd=HtpasswdConfig(inline=Secret(lines))), CONTEXT)
    made.start()
    return made


def client(**keys: Any) -> Any:
    """Return a started basicauth of a client."""
    made = basicauth.factory.create(BasicAuthConfig(client_auth=ClientAuthConfig(**keys)), CONTEXT)
    made.start()
    return made


@pytest.mark.parametrize(
    "keys",
    [
        {"token": Secret("t")},
        {"tokens": (Secret("t"), Secret("u"))},
        {"token": Secret("t"), "scheme": ""},
        {"token": Secret("t"), "header": "X-Key", "scheme": "Key"},
    ],
)
def test_own_token_is_let_in(keys: dict[str, Any]) -> None:
    """What a client sends, a server of the same settings takes; anything else it does not."""
    auth = bearer(**keys)
    assert isinstance(auth, Authenticator)
    assert isinstance(auth, Credentials)

    auth.authenticate(auth.headers())

    (name,) = auth.headers()
    for wrong in ({}, {name: ""}, {name: "Bearer x"}, {name: auth.headers()[name] + "t"}, {name: "Bearer ü"}):
        with pytest.raises(UnauthenticatedError) as raised:
            auth.authenticate(wrong)
        assert "Bearer x" not in str(raised.value)


def test_each_of_several_tokens() -> None:
    """A server takes any of its tokens."""
    auth = bearer(tokens=(Secret("t"), Secret("u")))

    auth.authenticate({"authorization": "Bearer u"})


def test_token_file_is_read_again(tmp_path: Path) -> None:
    """A token that was replaced on disk counts at once, and a file that is away for a moment changes nothing."""
    file = tmp_path / "token"
    file.write_text("old\n")
    auth = bearer(filename=str(file))
    auth.authenticate({"authorization": "Bearer old"})

    (tmp_path / "new").write_text("new")
    (tmp_path / "new").replace(file)

    assert auth.headers() == {"authorization": "Bearer new"}
    with pytest.raises(UnauthenticatedError):
        auth.authenticate({"authorization": "Bearer old"})
    file.unlink()
    auth.authenticate({"authorization": "Bearer new"})


def test_token_file_that_is_none(tmp_path: Path) -> None:
    """A file that is not there, or has no token, is an error at the start that names key and file."""
    with pytest.raises(ConfigError, match=r"^extensions::auth::filename: cannot read .*missing"):
        bearer(filename=str(tmp_path / "missing"))
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match="empty has no token"):
        bearer(filename=str(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "no bearer token provided"),
        ({"token": Secret("")}, "no bearer token provided"),
        ({"token": Secret("a"), "tokens": (Secret("b"),)}, "either tokens or token should be set, not both"),
        ({"token": Secret("a"), "header": ""}, "header must not be empty"),
    ],
)
def test_bearer_settings_that_cannot_be(keys: dict[str, Any], message: str) -> None:
    """Settings that would let in anybody, or nobody, are refused."""
    with pytest.raises(ValueError, match=message):
        BearerTokenAuthConfig(**keys)


@pytest.mark.parametrize(
    "hashed",
    [
        "secret",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
        "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/",
        bcrypt.hashpw(b"secret", b"$2b$04$abcdefghijklmnopqrstuu").decode(),
        bcrypt.hashpw(b"secret", b"$2b$04$abcdefghijklmnopqrstuu").decode().replace("$2b$", "$2y$"),
    ],
)
def test_kinds_of_hashes(hashed: str) -> None:
    """Each kind that htpasswd writes lets in its own password, more than once, and no other."""
    auth = known(f"# who may send\n\nother:x\nnode:{hashed}\n")
    right = client(username="node", password=Secret("secret")).headers()

    auth.authenticate(right)
    auth.authenticate(right)
    for name, password in (("node", "Secret"), ("other", "secret"), ("nobody", "secret"), ("node", "")):
        with pytest.raises(UnauthenticatedError, match="invalid credentials"):
            auth.authenticate(client(username=name, password=Secret(password)).headers())


@pytest.mark.parametrize("given", ["", "Bearer x", "Basic", "Basic !", "Basic bm9jb2xvbg==", "Basic /zo="])
def test_headers_that_are_none(given: str) -> None:
    """What is no basic auth is refused, and nothing else happens."""
    with pytest.raises(UnauthenticatedError):
        known("a:b").authenticate({"authorization": given})


def test_password_that_is_far_too_long() -> None:
    """A password that would take long to look at is refused unseen."""
    auth = known(f"node:{'x' * 1025}")

    with pytest.raises(UnauthenticatedError, match="invalid authorization format"):
        auth.authenticate(client(username="node", password=Secret("x" * 1025)).headers())
    known(f"node:{'x' * 1024}").authenticate(client(username="node", password=Secret("x" * 1024)).headers())


@pytest.mark.parametrize(
    ("auth", "right", "wrong"),
    [
        (
            lambda: bearer(token=Secret("t")),
            {"authorization": "Bearer t"},
            [{}, {"authorization": "Bearer x"}, {"authorization": "t"}],
        ),
        (
            lambda: known("node:secret"),
            {"authorization": "Basic bm9kZTpzZWNyZXQ="},
            [{}, {"authorization": "Bearer x"}, {"authorization": "Basic eDpzZWNyZXQ="}],
        ),
    ],
    ids=["token", "password"],
)
def test_strangers_are_sent_away_before_their_body(
    auth: Callable[[], Any], right: dict[str, str], wrong: list[dict[str, str]]
) -> None:
    """Who has no credentials is refused by its headers alone, by both protocols, and is not told to go on."""
    extension = auth()
    config = AuthConfig("auth")
    with receiving(
        Recorder(),
        http=HttpConfig("localhost:0", auth=config),
        grpc=GrpcConfig("localhost:0", auth=config),
        extensions={"auth": extension},
    ) as receiver:
        grpc, http = sorted(receiver.addresses)
        for headers in wrong:
            with closing(socket.create_connection(("localhost", int(http.rpartition(":")[2])), timeout=10)) as line:
                line.sendall(asking(headers))
                assert line.recv(10_000).startswith(b"HTTP/1.1 401 ")
            with closing(socket.create_connection(("localhost", int(grpc.rpartition(":")[2])), timeout=10)) as line:
                client = Raw(line, {})
                client.send(frame(Kind.HEADERS, Flag.END_HEADERS, 1, block(**headers)))
                assert client.answer(1)["grpc-status"] == "16"
        with closing(socket.create_connection(("localhost", int(http.rpartition(":")[2])), timeout=10)) as line:
            line.sendall(asking(right))
            assert line.recv(10_000).startswith(b"HTTP/1.1 100 ")


def asking(headers: dict[str, str]) -> bytes:
    """Return the head of a request that asks first whether it is wanted."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    lines += ["Content-Type: application/x-protobuf", "Content-Length: 1000000", "Expect: 100-continue", "\r\n"]
    return "\r\n".join(["POST /v1/traces HTTP/1.1", "Host: x", *lines]).encode()


def test_client_reads_its_files(tmp_path: Path) -> None:
    """Name and password come from files as they are now."""
    (tmp_path / "name").write_text("node\n")
    (tmp_path / "password").write_text("secret\n")
    files = {"username_file": str(tmp_path / "name"), "password_file": str(tmp_path / "password")}
    auth = client(**files, username="other")

    known("node:secret").authenticate(auth.headers())

    (tmp_path / "password").write_text("new")
    known("node:new").authenticate(auth.headers())


def test_client_outlives_a_file_that_is_away(tmp_path: Path) -> None:
    """A password file that is being replaced, away or empty for a moment, has what it had."""
    password = tmp_path / "password"
    password.write_text("secret")
    auth = client(username="node", password_file=str(password))
    told = auth.headers()

    password.unlink()
    assert auth.headers() == told
    password.write_text("")
    assert auth.headers() == told

    password.write_text("new")
    known("node:new").authenticate(auth.headers())


def test_password_file_that_is_none(tmp_path: Path) -> None:
    """A file that is not there, a line that is none and a hash that nobody knows are errors at the start."""
    missing = os.fspath(tmp_path / "missing")
    with pytest.raises(ConfigError, match=r"^extensions::auth::htpasswd::file: cannot read .*missing"):
        basicauth.factory.create(BasicAuthConfig(HtpasswdConfig(missing)), CONTEXT).start()
    with pytest.raises(ConfigError, match="extensions::auth::client_auth: cannot read"):
        client(username="a", password_file=missing)
    with pytest.raises(ConfigError, match=r"^extensions::auth::htpasswd::inline: line 2 is no name:hash"):
        known("a:b\nnonsense")
    with pytest.raises(ConfigError, match=r"line 1: this kind of hash is not known; write one with htpasswd -B"):
        known("a:$6$x$y")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "no credentials source provided"),
        ({"htpasswd": HtpasswdConfig("x"), "client_auth": ClientAuthConfig("x")}, "only one of"),
        ({"htpasswd": HtpasswdConfig()}, "set file or inline"),
        ({"client_auth": ClientAuthConfig()}, "set username or username_file"),
    ],
)
def test_basic_settings_that_cannot_be(keys: dict[str, Any], message: str) -> None:
    """Settings that are for nobody, or for both sides, are refused."""
    with pytest.raises(ValueError, match=message):
        BasicAuthConfig(**keys)
