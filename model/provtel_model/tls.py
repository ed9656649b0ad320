"""TLS of servers and clients, under the keys of the OpenTelemetry Collector's configtls.

The certificate and the key of a server may be replaced on disk while it runs: `ServerTls.reload_interval` says how soon
new connections see them.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provtel_model.errors import ConfigError
from provtel_model.settings import Duration, Secret

_VERSIONS: Final = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
_OLDEST: Final = "1.2"


@dataclass(frozen=True)
class ServerTls:
    """How a server proves itself, and whether its clients must.

    Args:
        cert_file: The server's certificate, followed by those between it and its authority, as PEM.
        key_file: Its private key, as PEM.
        client_ca_file: The authorities whose clients may connect; without, a client proves nothing.
        min_version: The oldest TLS version to speak, ``1.2`` where nothing is said.
        max_version: The newest TLS version to speak.
        reload_interval: How often changed files are looked for; 0 is never.
    """

    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    min_version: str = ""
    max_version: str = ""
    reload_interval: Duration = Duration(0)

    def __post_init__(self) -> None:
        """Refuse what no server could use.

        Raises:
            ValueError: A version is unknown, or the certificate or its key is missing.
        """
        _check_versions(self.min_version, self.max_version)
        if not self.cert_file or not self.key_file:
            raise ValueError("TLS of a server needs both cert_file and key_file")

    def context(self, protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
        """Return what a server's sockets are wrapped by.

        Args:
            protocols: What the server speaks, for ALPN; nothing is negotiated where there are none.

        Raises:
            ConfigError: A file cannot be read or is not what its key says.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _set_versions(context, self.min_version, self.max_version)
        self.load_into(context)
        if self.client_ca_file:
            _load_authorities(context, self.client_ca_file, "client_ca_file")
            context.verify_mode = ssl.CERT_REQUIRED
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Give a context the certificate and the key as they are on disk now; connections from then on show them.

        Raises:
            ConfigError: A file cannot be read or is not what its key says; the context is as it was.
        """
        _load_own(context, self.cert_file, self.key_file, None)


@dataclass(frozen=True)
class ClientTls:
    """How a client knows its server, and proves itself.

    Args:
        insecure: Speak without TLS; over HTTP the scheme of the endpoint decides instead.
        insecure_skip_verify: Take whatever certificate the server shows.
        ca_file: The authorities that the server's certificate may come from, as PEM; without, those of the system.
        include_system_ca_certs_pool: Also those of the system, beside the ones of `ca_file`.
        cert_file: The client's own certificate, where the server asks for one, as PEM.
        key_file: Its private key, as PEM.
        key_password: What the private key is encrypted by.
        server_name_override: The name that the server's certificate must have; without, the one of the endpoint.
        min_version: The oldest TLS version to speak, ``1.2`` where nothing is said.
        max_version: The newest TLS version to speak.
    """

    insecure: bool = False
    insecure_skip_verify: bool = False
    ca_file: str = ""
    include_system_ca_certs_pool: bool = False
    cert_file: str = ""
    key_file: str = ""
    key_password: Secret | None = None
    server_name_override: str = ""
    min_version: str = ""
    max_version: str = ""

    def __post_init__(self) -> None:
        """Refuse what no client could use.

        Raises:
            ValueError: A version is unknown, or a certificate has no key or a key no certificate.
        """
        _check_versions(self.min_version, self.max_version)
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("for auth via TLS, provide both cert_file and key_file, or neither")

    def context(self, protocols: tuple[str, ...] = ()) -> ssl.SSLContext | None:
        """Return what a client's sockets are wrapped by; None where it is to speak without TLS.

        Args:
            protocols: What the client speaks, for ALPN; nothing is negotiated where there are none.

        Raises:
            ConfigError: A file cannot be read or is not what its key says.
        """
        return None if self.insecure else self.verified(protocols)

    def verified(self, protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
        """Return what sockets are wrapped by where the endpoint itself says that TLS is spoken.

        Raises:
            ConfigError: A file cannot be read or is not what its key says.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _set_versions(context, self.min_version, self.max_version)
        if self.ca_file:
            _load_authorities(context, self.ca_file, "ca_file")
        if not self.ca_file or self.include_system_ca_certs_pool:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if self.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert_file:
            _load_own(context, self.cert_file, self.key_file, self.key_password)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


def _check_versions(oldest: str, newest: str) -> None:
    for key, version in (("min_version", oldest), ("max_version", newest)):
        if version and version not in _VERSIONS:
            raise ValueError(f'{key}: unsupported TLS version: "{version}"; use 1.2 or 1.3')
    if newest and (oldest or _OLDEST) > newest:
        raise ValueError(f"min_version {oldest or _OLDEST} is newer than max_version {newest}")


def _set_versions(context: ssl.SSLContext, oldest: str, newest: str) -> None:
    context.minimum_version = _VERSIONS[oldest or _OLDEST]
    if newest:
        context.maximum_version = _VERSIONS[newest]


def _load_authorities(context: ssl.SSLContext, file: str, key: str) -> None:
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        raise ConfigError(f"{key}: {file} holds no certificates in PEM form: {_reason(error)}") from error
    except OSError as error:
        raise ConfigError(f"{key}: cannot read {file}: {_reason(error)}") from error


def _load_own(context: ssl.SSLContext, cert_file: str, key_file: str, password: Secret | None) -> None:
    # OpenSSL says neither which of the two files it means nor, for an encrypted key, that it waits at the terminal.
    for key, file in (("cert_file", cert_file), ("key_file", key_file)):
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise ConfigError(f"{key}: cannot read {file}: {_reason(error)}") from error
    try:
        context.load_cert_chain(cert_file, key_file, lambda: password.reveal() if password else "")
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"cert_file, key_file: {cert_file} and {key_file} are no certificate in PEM form and its private key: "
            f"{_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
