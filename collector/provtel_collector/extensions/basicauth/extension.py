"""The ``basicauth`` extension."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model.errors import ConfigError, UnauthenticatedError

from provtel_collector.extensions.basicauth.passwords import Verify, reader_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.components import Context

    from provtel_collector.extensions.basicauth.config import BasicAuthConfig, ClientAuthConfig, HtpasswdConfig

_SCHEME: Final = "basic "
_REMEMBERED: Final = 1024
# Some hashes go over the password a thousand times, whoever sent it.
_LONGEST_PASSWORD: Final = 1024


def create(config: BasicAuthConfig, context: Context) -> BasicAuthServer | BasicAuthClient:
    """Return the extension for whichever of the two sides it is configured."""
    path = f"extensions::{context.id}"
    if config.client_auth is not None:
        return BasicAuthClient(config.client_auth, f"{path}::client_auth")
    if config.htpasswd is not None:
        return BasicAuthServer(config.htpasswd, f"{path}::htpasswd")
    raise ConfigError("no credentials source provided", path)


class BasicAuthServer:
    """Lets in whom a password file knows.

    Args:
        config: What the user wrote.
        path: Where.
    """

    def __init__(self, config: HtpasswdConfig, path: str) -> None:
        self._config = config
        self._path = path
        self._known: dict[str, Verify] = {}
        self._key = os.urandom(16)
        self._remembered: set[bytes] = set()

    def start(self) -> None:
        """Read who is known.

        Raises:
            ConfigError: The file cannot be read, or a line is none of ``htpasswd``.
        """
        if self._config.file:
            try:
                self._add(Path(self._config.file).read_text(), f"{self._path}::file: {self._config.file}")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"cannot read {self._config.file}: {error}", f"{self._path}::file") from error
        if self._config.inline is not None:
            self._add(self._config.inline.reveal(), f"{self._path}::inline")

    def shutdown(self) -> None:
        """Release nothing."""

    def authenticate(self, headers: Mapping[str, str]) -> None:
        """Return when a request carries a name and the password that goes with it.

        Raises:
            UnauthenticatedError: It does not.
        """
        given = headers.get("authorization", "")
        if not given:
            raise UnauthenticatedError("no basic auth provided")
        # A good hash takes a tenth of a second, too long for each request; what is kept is of no use to a reader.
        digest = hashlib.blake2b(given.encode("latin-1"), key=self._key).digest()
        if digest in self._remembered:
            return
        name, password = _read(given)
        verify = self._known.get(name)
        if verify is None or not verify(password):
            raise UnauthenticatedError("invalid credentials")
        if len(self._remembered) < _REMEMBERED:
            self._remembered.add(digest)

    def refuse_early(self, headers: Mapping[str, str]) -> None:
        """Refuse who brings no name and password, or a name that nobody knows; to look at the password takes long.

        Raises:
            UnauthenticatedError: It is so.
        """
        given = headers.get("authorization", "")
        if not given:
            raise UnauthenticatedError("no basic auth provided")
        name, _ = _read(given)
        if name not in self._known:
            raise UnauthenticatedError("invalid credentials")

    def _add(self, text: str, place: str) -> None:
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            name, colon, hashed = line.strip().partition(":")
            if not colon:
                raise ConfigError(f"line {number} is no name:hash", place)
            try:
                self._known[name] = reader_of(hashed)
            except ValueError as error:
                raise ConfigError(f"line {number}: {error}", place) from None


class BasicAuthClient:
    """Sends a name and a password.

    Args:
        config: What the user wrote.
        path: Where.
    """

    def __init__(self, config: ClientAuthConfig, path: str) -> None:
        self._config = config
        self._path = path
        self._read_before: dict[str, str] = {}

    def start(self) -> None:
        """Be sure that the files can be read.

        Raises:
            ConfigError: One cannot.
        """
        try:
            self.headers()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {getattr(error, 'filename', 'a file')}: {error}", self._path) from error

    def shutdown(self) -> None:
        """Release nothing."""

    def headers(self) -> Mapping[str, str]:
        """Return the header with the name and the password.

        Raises:
            OSError: A file cannot be read, and never could.
        """
        config = self._config
        name = self._current(config.username_file) if config.username_file else config.username
        password = config.password.reveal() if config.password else ""
        if config.password_file:
            password = self._current(config.password_file)
        return {"authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}

    def _current(self, file: str) -> str:
        """Return what a file has; one that is being replaced has what it had."""
        try:
            text = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError):
            if file not in self._read_before:
                raise
            text = ""
        if text or file not in self._read_before:
            self._read_before[file] = text
        return self._read_before[file]


def _read(given: str) -> tuple[str, bytes]:
    if given[: len(_SCHEME)].lower() != _SCHEME:
        raise UnauthenticatedError("no basic auth provided")
    try:
        content = base64.b64decode(given[len(_SCHEME) :].strip(), validate=True)
        name, colon, password = content.partition(b":")
        if colon and len(password) <= _LONGEST_PASSWORD:
            return name.decode(), password
    except ValueError:
        pass
    raise UnauthenticatedError("invalid authorization format")
