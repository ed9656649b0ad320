"""Component types for tests of the grammar: their configurations have every kind of field; none can be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from provtel_collector_config.ids import Kind
from provtel_collector_config.loading import Factories
from provtel_model.components import Factory, Signal
from provtel_model.settings import Duration, Secret, Size


@dataclass(frozen=True, slots=True)
class Http:
    """A map inside a map."""

    endpoint: str = "localhost:4318"
    max_size: int = 20
    ratio: float = 0.5
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Protocols:
    """A map that counts by being there."""

    http: Http | None = None


@dataclass(frozen=True, slots=True)
class OtlpConfig:
    """Wants at least one protocol."""

    protocols: Protocols = field(default_factory=Protocols)

    def __post_init__(self) -> None:
        """Refuse a receiver that listens nowhere."""
        if self.protocols.http is None:
            raise ValueError("must specify at least one protocol when using the OTLP receiver")


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """A field of every other kind."""

    mode: Literal["fast", "safe"] = "safe"
    timeout: Duration = field(default_factory=lambda: Duration(5))
    limit: Size = field(default_factory=lambda: Size(1))
    token: Secret | None = None
    headers: Mapping[str, Secret] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    free: Mapping[str, Any] = field(default_factory=dict)
    peers: tuple[Http, ...] = ()


@dataclass(frozen=True, slots=True)
class EmptyConfig:
    """Nothing to say."""


def unmakeable(*_: object) -> None:
    """Stand where a component would be made."""
    raise AssertionError


FACTORIES: Factories = {
    Kind.RECEIVERS: {"otlp": Factory("otlp", OtlpConfig, unmakeable)},
    Kind.PROCESSORS: {"pass": Factory("pass", EmptyConfig, unmakeable)},
    Kind.EXPORTERS: {
        "debug": Factory("debug", EmptyConfig, unmakeable),
        "store": Factory("store", StoreConfig, unmakeable, signals=frozenset({Signal.TRACES})),
    },
    Kind.EXTENSIONS: {"health_check": Factory("health_check", EmptyConfig, unmakeable)},
}
