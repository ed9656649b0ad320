"""The headers of requests: those of the configuration, and those of the extension that says who the exporter is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_model.components import Credentials
from provtel_model.errors import ConfigError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.components import Context
    from provtel_model.settings import Secret

    from provtel_exporters.otlp.config import AuthConfig


class Headers:
    """What each request carries besides its content.

    Args:
        written: What the user wrote.
        auth: Who the exporter is.
        context: Where it stands.
    """

    def __init__(self, written: Mapping[str, Secret], auth: AuthConfig | None, context: Context) -> None:
        self._written = {name.lower(): value.reveal() for name, value in written.items()}
        self._auth = auth
        self._context = context
        self._credentials: Credentials | None = None

    def start(self) -> None:
        """Find the extension.

        Raises:
            ConfigError: There is none, or it says nothing of clients.
        """
        if self._auth is None:
            return
        name, path = self._auth.authenticator, f"exporters::{self._context.id}::auth"
        found = self._context.extensions.get(name)
        if found is None:
            raise ConfigError(f'failed to resolve authenticator "{name}": authenticator not found', path)
        if not isinstance(found, Credentials):
            raise ConfigError(f'"{name}" is no client authenticator', path)
        self._credentials = found

    def now(self) -> Mapping[str, str]:
        """Return the headers for a request that is sent now.

        Raises:
            RetryableError: What the extension needs for them cannot be read now.
        """
        if self._credentials is None:
            return self._written
        try:
            return {**self._written, **self._credentials.headers()}
        except OSError as error:
            raise RetryableError(f"who the exporter is cannot be read: {error}") from error
