"""What a user writes for the ``zpages`` extension."""

from __future__ import annotations

from dataclasses import dataclass, field

from provtel_model.settings import NO_EFFECT

from provtel_collector.http.listening import parse_endpoint


@dataclass(frozen=True, slots=True)
class ExpvarConfig:
    """Figures of the Go runtime, which there are none of here.

    Args:
        enabled: Accepted, and of no effect.
    """

    enabled: bool = field(default=False, metadata=NO_EFFECT)


@dataclass(frozen=True, slots=True)
class ZPagesConfig:
    """The ``zpages`` extension.

    Args:
        endpoint: Where to listen, ``host:port``.
        expvar: Figures of the Go runtime, which there are none of here.
    """

    endpoint: str = "localhost:55679"
    expvar: ExpvarConfig = field(default_factory=ExpvarConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot be asked.

        Raises:
            ValueError: The endpoint is none.
        """
        if not self.endpoint:
            raise ValueError('"endpoint" is required when using the "zpages" extension')
        parse_endpoint(self.endpoint)
