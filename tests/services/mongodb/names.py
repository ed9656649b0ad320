"""A server of names on this machine, by which a MongoDB is found as ``mongodb+srv://`` has it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

ZONE = "cluster.provtel.test"
HOST = f"db.{ZONE}"


@dataclass
class Names:
    """What the server knows, which a test may change.

    Attributes:
        port: Where the database listens; without, the name does not exist.
        asked: What was asked for.
    """

    port: int | None = None
    asked: list[str] = field(default_factory=list)

    def answer(self, request: bytes) -> bytes:
        """Return the answer to a request."""
        query = dns.message.from_wire(request)
        (question,) = query.question
        self.asked.append(question.to_text())
        response = dns.message.make_response(query)
        if self.port is None or question.name.to_text() != f"_mongodb._tcp.{ZONE}.":
            response.set_rcode(dns.rcode.NXDOMAIN)
        else:
            response.answer.append(dns.rrset.from_text(question.name, 1, "IN", "SRV", f"0 0 {self.port} {HOST}."))
        return response.to_wire()


@contextmanager
def names_on_this_machine() -> Iterator[Names]:
    """Answer for as long as the block lasts; the database's host is this machine."""
    names = Names()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, pytest.MonkeyPatch.context() as patch:
        server.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(server, names))
        thread.start()
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], server.getsockname()[1]
        patch.setattr(dns.resolver, "default_resolver", resolver)
        patch.setattr(socket, "getaddrinfo", _here(socket.getaddrinfo))
        try:
            yield names
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", server.getsockname())
            thread.join()


def _serve(server: socket.socket, names: Names) -> None:
    while True:
        request, sender = server.recvfrom(4096)
        if not request:
            return
        server.sendto(names.answer(request), sender)


def _here(getaddrinfo: Any) -> Any:
    def found(host: Any, *others: Any, **more: Any) -> Any:
        return getaddrinfo("127.0.0.1" if host == HOST else host, *others, **more)

    return found
