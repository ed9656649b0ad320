"""Our HTTP/2 keeps the rules of RFC 9113 and RFC 7541, as h2spec asks for them."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable
from functools import partial

import pytest
from provtel_collector.http import http2
from provtel_collector.http.serving import Door, Server
from provtel_collector.http.streams import Headers, Keeping, Response
from provtel_model.http2 import literal_headers

from tests.services.found import Found

HEAD = b"\x88" + literal_headers([(b"content-type", b"text/plain")])


class Greeter:
    """Says hello to every request."""

    limit = 2**20

    def admit(self, _headers: Headers) -> None:
        """Want every body."""

    def too_large(self, _headers: Headers) -> Response:
        """Refuse."""
        return Response(HEAD)

    def overloaded(self, _headers: Headers) -> Response:
        """Refuse."""
        return Response(HEAD)

    def take(self, _headers: Headers, _body: bytes, reply: Callable[[Response], None]) -> None:
        """Say hello."""
        reply(Response(HEAD, b"hello", literal_headers([(b"said", b"yes")])))


def test_every_rule_is_kept(found_h2spec: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of h2spec's tests passes; it supposes that frames have the size they have where nothing is said."""
    monkeypatch.setattr(http2, "_FRAME_LIMIT", 16384)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    connect = partial(http2.Http2Connection, handler=Greeter(), keeping=Keeping(streams=100))
    server = Server([Door(listener, connect)], 1)
    server.start()
    try:
        done = subprocess.run(
            [found_h2spec.binary, "--host", "127.0.0.1", "--port", str(port), "--timeout", "2"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        server.stop()

    assert re.findall(r"\N{MULTIPLICATION SIGN} (.*)", done.stdout) == []
    assert re.search(r"(\d+) tests, \1 passed", done.stdout), done.stdout[-1000:]
