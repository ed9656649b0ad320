"""What a user writes to configure the exporter ``mongodb``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote_plus, urlsplit

from provtel_model.delivery import RetryOnFailure, SendingQueue
from provtel_model.settings import Duration, Secret

from provtel_exporters.mongodb.address import SCHEMES, Address

Mechanism = Literal[
    "", "SCRAM-SHA-256", "SCRAM-SHA-1", "MONGODB-X509", "PLAIN", "GSSAPI", "MONGODB-AWS", "MONGODB-OIDC"
]

_TIMEOUT: Final = Duration(30)
_WITHOUT_PASSWORD: Final = frozenset({"MONGODB-X509", "MONGODB-AWS", "GSSAPI"})


@dataclass(frozen=True)
class MongodbTls:
    """How the client knows its server, and proves itself.

    Args:
        insecure: Speak without TLS, also to a ``mongodb+srv://`` address.
        insecure_skip_verify: Take whatever certificate the server shows.
        ca_file: The authorities that the server's certificate may come from, as PEM; without, those of the system.
        cert_key_file: The client's own certificate and its private key in one file, as PEM, where the server asks for
            them.
        key_password: What the private key is encrypted by.
    """

    insecure: bool = False
    insecure_skip_verify: bool = False
    ca_file: str = ""
    cert_key_file: str = ""
    key_password: Secret | None = None

    def options(self) -> dict[str, Any]:
        """Return pymongo's options for it."""
        if self.insecure:
            return {"tls": False}
        options: dict[str, Any] = {"tls": True}
        if self.insecure_skip_verify:
            options["tlsAllowInvalidCertificates"] = True
        if self.ca_file:
            options["tlsCAFile"] = self.ca_file
        if self.cert_key_file:
            options["tlsCertificateKeyFile"] = self.cert_key_file
        if self.key_password is not None:
            options["tlsCertificateKeyFilePassword"] = self.key_password.reveal()
        return options


@dataclass(frozen=True)
class WriteConcern:
    """When the server counts a write as done.

    Args:
        w: By how many members of a replica set: ``majority``, or a number.
        journal: It is in the journal on the disk.
        timeout: How long to wait for them; 0 is as long as it takes.
    """

    w: Literal["majority"] | int = "majority"
    journal: bool = True
    timeout: Duration = Duration(0)

    def __post_init__(self) -> None:
        """Refuse a write that nobody counts.

        Raises:
            ValueError: It is so.
        """
        if isinstance(self.w, int) and self.w < 1:
            raise ValueError(f"w is {self.w}; use majority, or 1 and more, as what is acknowledged must be there")


@dataclass(frozen=True)
class MongodbConfig:
    """The ``mongodb`` exporter.

    Args:
        endpoint: Where to, as MongoDB's clients write it: ``mongodb://`` and hosts, or ``mongodb+srv://``, with options
            after ``?`` as MongoDB documents them; not with a password, which has a key of its own.
        database: The database; empty for the one in `endpoint`, else ``provtel``.
        username: Who the client is.
        password: By what it proves it.
        auth_source: The database that knows the user; empty for the server's default.
        auth_mechanism: The way to prove it; empty for what the server offers.
        replica_set: Name of the replica set that the server must be of.
        tls: How TLS is spoken; without, as the address says.
        app_name: What the server calls the client in its logs.
        compressors: How requests and answers are compressed, in order of preference.
        write_concern: When a write counts as done.
        read_concern: What is read of records that are there already: what a majority has, or the server's own.
        timeout: How long a batch may take.
        retry_on_failure: How what was refused for now is sent again.
        sending_queue: What waits before it is sent.
    """

    endpoint: str = "mongodb://localhost:27017"
    database: str = ""
    username: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    auth_source: str = ""
    auth_mechanism: Mechanism = ""
    replica_set: str = ""
    tls: MongodbTls | None = None
    app_name: str = "provtel"
    compressors: tuple[Literal["zstd", "zlib", "snappy"], ...] = ()
    write_concern: WriteConcern = WriteConcern()
    read_concern: Literal["majority", "local"] = "majority"
    timeout: Duration = _TIMEOUT
    retry_on_failure: RetryOnFailure = field(default_factory=RetryOnFailure)
    sending_queue: SendingQueue = field(default_factory=SendingQueue)

    def __post_init__(self) -> None:
        """Refuse an address that is none, and what would show a password.

        Raises:
            ValueError: Something is wrong.
        """
        if not self.endpoint.startswith(SCHEMES):
            raise ValueError("endpoint must begin with mongodb:// or mongodb+srv://")
        if "@" in self.endpoint:
            raise ValueError("endpoint must hold no username and password; use the keys username and password")
        if not urlsplit(self.endpoint).netloc:
            raise ValueError("endpoint names no host; write mongodb://HOST:27017")
        if self.username and not self.password.reveal() and self.auth_mechanism not in _WITHOUT_PASSWORD:
            raise ValueError("password is required where there is a username")
        if self.password.reveal() and not self.username:
            raise ValueError("username is required where there is a password")

    def location(self) -> str:
        """Return the address with all that is needed to read, the password included."""
        head, _, query = self.endpoint.partition("?")
        scheme, _, rest = head.partition("://")
        hosts, _, database = rest.partition("/")
        login = f"{quote_plus(self.username)}:{quote_plus(self.password.reveal())}@" if self.username else ""
        options = {"authSource": self.auth_source, "authMechanism": self.auth_mechanism, "replicaSet": self.replica_set}
        options |= {} if self.tls is None else self.tls.options()
        said = [query] if query else []
        said += [f"{name}={_quoted(value)}" for name, value in options.items() if value != ""]
        return f"{scheme}://{login}{hosts}/{self.database or database}" + ("?" + "&".join(said) if said else "")

    def address(self) -> Address:
        """Return where the database is, and how to speak to it."""
        options = {
            "appname": self.app_name,
            "w": self.write_concern.w,
            "journal": self.write_concern.journal,
            "wTimeoutMS": _milliseconds(self.write_concern.timeout),
            "readConcernLevel": self.read_concern,
            **dict.fromkeys(("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS"), self._timeout_ms),
            "username": self.username,
            "password": self.password.reveal(),
            "authSource": self.auth_source,
            "authMechanism": self.auth_mechanism,
            "replicaSet": self.replica_set,
            "compressors": ",".join(self.compressors),
        }
        # What is empty or 0 is left to the address and to pymongo.
        known = {name: value for name, value in options.items() if value or name == "journal"}
        tls = {} if self.tls is None else self.tls.options()
        return Address(self.endpoint, self.database, tuple((known | tls).items()))

    @property
    def _timeout_ms(self) -> int:
        return _milliseconds(self.timeout)


def _quoted(value: object) -> str:
    return quote_plus(str(value).lower() if isinstance(value, bool) else str(value))


def _milliseconds(duration: Duration) -> int:
    return math.ceil(duration * 1000)
