"""Addresses of topics, ``kafka://host:port/topic``, with what else a client needs under the keys of the receiver.

Several brokers stand one after the other, with commas. A name and a password stand before them as in any URL; how to
log in, and TLS, are options: ``kafka://me:secret@host:9093/topic?auth.sasl.mechanism=SCRAM-SHA-512&tls.ca_file=/x.pem``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from provtel_model.errors import StoreError
from provtel_model.kafka import Auth, KafkaClient, Sasl
from provtel_model.settings import Secret
from provtel_model.tls import ClientTls

CLIENT_ID: Final = "provtel"
BY_PASSWORD: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

_BROKERS: Final = re.compile(r"[^:,/@\s]+:\d{1,5}(?:,[^:,/@\s]+:\d{1,5})*")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_OPTION: Final = re.compile(r"[a-z_.]{1,40}")
_NO_ADDRESS: Final = (
    "this is no address of Kafka; write kafka://host:port/topic, with ?signal=logs where the topic has log records"
)
_MECHANISM: Final = "auth.sasl.mechanism"
_SIGNAL: Final = "signal"
_TLS: Final = "tls"
_TRUTHS: Final = {"true": True, "false": False}
_KEYS: Final = {f"{_TLS}.{field.name}": field for field in fields(ClientTls)}


@dataclass(frozen=True)
class TopicAddress:
    """Where a topic is.

    Args:
        client: How its brokers are reached.
        topic: Its name; empty where the address has none.
        signal: What it carries; empty where the address does not say it.
    """

    client: KafkaClient
    topic: str
    signal: str

    @property
    def brokers(self) -> str:
        """The brokers as people write them."""
        return ",".join(self.client.brokers)

    def __str__(self) -> str:
        """Return it with all that is needed to read, the password included.

        Raises:
            StoreError: The brokers are told a token, which an extension of a collector has.
        """
        sasl, tls = _by_sasl(self.client.auth), self.client.tls or self.client.auth.tls
        options, login = {_SIGNAL: self.signal} if self.signal else {}, ""
        if sasl is not None:
            login = f"{quote(sasl.username, safe='')}:{quote(sasl.password.reveal(), safe='')}@"
            options[_MECHANISM] = sasl.mechanism
        options |= {} if tls is None else _said(tls)
        return f"kafka://{login}{self.brokers}/{self.topic}" + (f"?{urlencode(options, safe='/')}" if options else "")


def _by_sasl(auth: Auth) -> Sasl | None:
    if auth.plain_text is not None:
        return Sasl("PLAIN", auth.plain_text.username, auth.plain_text.password)
    if auth.sasl is not None and auth.sasl.mechanism not in BY_PASSWORD:
        raise StoreError(f"a login by {auth.sasl.mechanism} takes a token of an extension, which only a collector runs")
    return auth.sasl


def address_of(location: str) -> TopicAddress:
    """Return the address that a location is.

    Raises:
        StoreError: It is none; the text shows nothing of it in which a password may be.
    """
    try:
        parts = urlsplit(location)
    except ValueError:
        raise StoreError(_NO_ADDRESS) from None
    login, _, brokers = parts.netloc.rpartition("@")
    topic = parts.path.strip("/")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    signal = options.pop(_SIGNAL, "")
    unknown = sorted(options.keys() - _KEYS.keys() - {_MECHANISM, _TLS})
    # A part of a password that is not quoted may be anywhere behind it.
    is_odd = parts.fragment or not all(map(_OPTION.fullmatch, unknown))
    if is_odd or not _BROKERS.fullmatch(brokers) or (topic and not _TOPIC.fullmatch(topic)):
        raise StoreError(_NO_ADDRESS)
    if unknown:
        raise StoreError(
            f"an address of Kafka has no option {unknown[0]!r}; there are {_SIGNAL}, {_MECHANISM}, {', '.join(_KEYS)}"
        )
    try:
        auth = Auth(_sasl(login, options.pop(_MECHANISM, "")))
        client = KafkaClient(tuple(brokers.split(",")), client_id=CLIENT_ID, auth=auth, tls=_tls(options))
    except ValueError as error:
        raise StoreError(f"the address of Kafka at {brokers} cannot be used: {error}") from None
    return TopicAddress(client, topic, signal)


def _sasl(login: str, mechanism: str) -> Sasl | None:
    if not login and not mechanism:
        return None
    name, _, password = (unquote(part) for part in login.partition(":"))
    for known in BY_PASSWORD:
        if known == mechanism:
            return Sasl(known, name, Secret(password))
    raise ValueError(f"{_MECHANISM} must say how to log in: {', '.join(BY_PASSWORD[:-1])} or {BY_PASSWORD[-1]}")


def _tls(options: dict[str, str]) -> ClientTls | None:
    if not options:
        return None
    spoken = _truth(_TLS, options.pop(_TLS, "true"))
    values = {name.removeprefix(f"{_TLS}."): _value(name, text) for name, text in options.items()}
    if not spoken and values:
        raise ValueError(f"{_TLS} is false, and {next(iter(options))} is said")
    return ClientTls(**values) if spoken else None


def _value(name: str, text: str) -> Any:
    if isinstance(_KEYS[name].default, bool):
        return _truth(name, text)
    return Secret(text) if _KEYS[name].default is None else text


def _truth(name: str, text: str) -> bool:
    if text not in _TRUTHS:
        raise ValueError(f"{name} is true or false")
    return _TRUTHS[text]


def _said(tls: ClientTls) -> dict[str, str]:
    """Return the options that say what TLS is not by itself."""
    said: dict[str, str] = {_TLS: "true"}
    for name, field in _KEYS.items():
        value = getattr(tls, field.name)
        if value != field.default:
            text = value.reveal() if isinstance(value, Secret) else str(value)
            said[name] = text.lower() if isinstance(value, bool) else text
    return said
