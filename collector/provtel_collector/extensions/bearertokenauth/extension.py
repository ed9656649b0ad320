"""The ``bearertokenauth`` extension."""

from __future__ import annotations

import contextlib
import hmac
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from provtel_model.errors import ConfigError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.components import Context

    from provtel_collector.extensions.bearertokenauth.config import BearerTokenAuthConfig


class BearerTokenAuth:
    """Checks tokens for a server, and sends one for a client.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: BearerTokenAuthConfig, context: Context) -> None:
        self._config = config
        self._path = f"extensions::{context.id}::filename"
        self._header = config.header.lower()
        self._lock = threading.Lock()
        self._seen: object = None
        written = config.tokens or ((config.token,) if config.token else ())
        self._tokens = [token.reveal() for token in written]

    def start(self) -> None:
        """Read the file, where there is one.

        Raises:
            ConfigError: It cannot be read, or has no token.
        """
        if not self._config.filename:
            return
        try:
            self._read()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {self._config.filename}: {error}", self._path) from error
        if not self._tokens:
            raise ConfigError(f"{self._config.filename} has no token", self._path)

    def shutdown(self) -> None:
        """Release nothing."""

    def authenticate(self, headers: Mapping[str, str]) -> None:
        """Return when a request carries one of the tokens.

        Raises:
            UnauthenticatedError: It does not.
        """
        given = headers.get(self._header, "")
        if not given:
            raise UnauthenticatedError(f"missing or empty authorization header: {self._config.header}")
        known = [self._valued(token).encode() for token in self._current()]
        # All are compared, so that the time says nothing about which one it was.
        if not sum([hmac.compare_digest(given.encode("latin-1"), value) for value in known]):
            raise UnauthenticatedError("provided authorization does not match expected scheme or token")

    def refuse_early(self, headers: Mapping[str, str]) -> None:
        """Refuse what has none of the tokens; to look costs no more than later.

        Raises:
            UnauthenticatedError: It has none.
        """
        self.authenticate(headers)

    @property
    def secret_headers(self) -> frozenset[str]:
        """The header that carries the token."""
        return frozenset({self._header})

    def headers(self) -> Mapping[str, str]:
        """Return the header with the token."""
        return {self._header: self._valued(self._current()[0])}

    def _valued(self, token: str) -> str:
        return f"{self._config.scheme} {token}" if self._config.scheme else token

    def _current(self) -> list[str]:
        """Return the tokens as they are now; a file that is being replaced has those it had."""
        if self._config.filename:
            with contextlib.suppress(OSError, UnicodeDecodeError):
                self._read()
        return self._tokens

    def _read(self) -> None:
        file = Path(self._config.filename)
        with self._lock:
            found = file.stat()
            state = (found.st_mtime_ns, found.st_size, found.st_ino)
            if state != self._seen:
                tokens = [line.strip() for line in file.read_text().splitlines() if line.strip()]
                if tokens:
                    self._tokens, self._seen = tokens, state
