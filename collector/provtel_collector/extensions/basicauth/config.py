"""What a user writes for the ``basicauth`` extension; keys and defaults are the OpenTelemetry Collector's."""

from __future__ import annotations

from dataclasses import dataclass

from provtel_model.settings import Secret


@dataclass(frozen=True)
class HtpasswdConfig:
    """Who may send to a server, as ``htpasswd`` writes it: ``name:hash``, one a line.

    Args:
        file: A file.
        inline: The lines themselves; they come after those of the file.
    """

    file: str = ""
    inline: Secret | None = None


@dataclass(frozen=True)
class ClientAuthConfig:
    """Who a client is.

    Args:
        username: The name.
        password: The password.
        username_file: A file that has the name; it is read again for each request, and counts before `username`.
        password_file: A file that has the password.
    """

    username: str = ""
    password: Secret | None = None
    username_file: str = ""
    password_file: str = ""


@dataclass(frozen=True)
class BasicAuthConfig:
    """The ``basicauth`` extension; it is for a server or for a client.

    Args:
        htpasswd: Who may send to a server.
        client_auth: Who a client is.
    """

    htpasswd: HtpasswdConfig | None = None
    client_auth: ClientAuthConfig | None = None

    def __post_init__(self) -> None:
        """Refuse what is for nobody or for both.

        Raises:
            ValueError: Not one of the two is said, or it says nobody.
        """
        if self.htpasswd is None and self.client_auth is None:
            raise ValueError("no credentials source provided; set htpasswd for a server or client_auth for a client")
        if self.htpasswd is not None and self.client_auth is not None:
            raise ValueError("only one of `htpasswd` or `client_auth` can be specified")
        if self.htpasswd is not None and not self.htpasswd.file and not self.htpasswd.inline:
            raise ValueError("htpasswd: set file or inline")
        if self.client_auth is not None and not (self.client_auth.username or self.client_auth.username_file):
            raise ValueError("client_auth: set username or username_file")
