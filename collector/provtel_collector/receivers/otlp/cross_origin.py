"""Which web pages may send to a receiver (CORS)."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from provtel_collector.http.messages import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALWAYS: Final = frozenset({"accept", "content-type", "x-requested-with", "origin"})


@dataclass(frozen=True)
class CorsConfig:
    """Which web pages may send.

    Args:
        allowed_origins: Origins, with ``*`` for any characters; none may send where there are none.
        allowed_headers: Headers that they may send besides the usual ones; ``*`` for all.
        exposed_headers: Headers of answers that they may read.
        max_age: For how many seconds a browser may remember all this; 0 for the default of a browser.
    """

    allowed_origins: tuple[str, ...] = ()
    allowed_headers: tuple[str, ...] = ()
    exposed_headers: tuple[str, ...] = ()
    max_age: int = 0


class CrossOrigin:
    """Answers browsers that ask whether a page may send.

    Args:
        config: What the user wrote.
    """

    def __init__(self, config: CorsConfig) -> None:
        self._any = "*" in config.allowed_origins
        self._origins = [re.compile(fnmatch.translate(origin.lower())) for origin in config.allowed_origins]
        self._headers = frozenset(header.lower() for header in config.allowed_headers) | _ALWAYS
        self._exposed = ", ".join(config.exposed_headers)
        self._max_age = config.max_age

    def preflight(self, headers: Mapping[str, str]) -> Answer | None:
        """Return what a browser is told before it sends; None where it asks something else."""
        if "access-control-request-method" not in headers:
            return None
        if not self._allows(headers.get("origin", "")):
            return Answer(HTTPStatus.NO_CONTENT)
        asked = [name.strip().lower() for name in headers.get("access-control-request-headers", "").split(",")]
        wanted = [name for name in asked if name]
        told = [(b"access-control-allow-methods", b"POST")]
        if wanted and not ("*" in self._headers or self._headers.issuperset(wanted)):
            return Answer(HTTPStatus.NO_CONTENT)
        if wanted:
            told.append((b"access-control-allow-headers", ", ".join(wanted).encode("latin-1")))
        if self._max_age:
            told.append((b"access-control-max-age", str(self._max_age).encode()))
        return Answer(HTTPStatus.NO_CONTENT, headers=told)

    def headers(self, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """Return what an answer tells a browser."""
        origin = headers.get("origin", "")
        told = [(b"vary", b"Origin")]
        if not origin or not self._allows(origin):
            return told
        told.append((b"access-control-allow-origin", b"*" if self._any else origin.encode("latin-1")))
        told.append((b"access-control-allow-credentials", b"true"))
        if self._exposed:
            told.append((b"access-control-expose-headers", self._exposed.encode("latin-1")))
        return told

    def _allows(self, origin: str) -> bool:
        return self._any or any(pattern.fullmatch(origin.lower()) for pattern in self._origins)
