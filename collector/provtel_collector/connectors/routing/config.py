"""What a user writes for the ``routing`` connector."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from provtel_model.components import Signal

from provtel_collector.conditions import Condition, Level, parse_condition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SIGNALS: Final = {
    "request": tuple(Signal),
    "resource": tuple(Signal),
    "span": (Signal.TRACES,),
    "log": (Signal.LOGS,),
    "metric": (Signal.METRICS,),
}
_REQUEST: Final = re.compile(r'\s*request\["([^"]+)"\]\s*(==|!=)\s*"([^"]*)"\s*')
_STATEMENT: Final = re.compile(r"\s*route\(\)\s*(?:where\s+(.*))?", re.DOTALL)


@dataclass(frozen=True)
class RouteConfig:
    """A row of the table.

    Args:
        context: What the condition is about: ``request`` (its metadata), ``resource``, ``span``, ``log`` or ``metric``.
        condition: What must hold.
        statement: The same as ``route() where CONDITION``.
        pipelines: Where to.
        action: ``move`` it there, so that the rows below do not see it, or ``copy`` it.
    """

    context: Literal["", "request", "resource", "span", "log", "metric"] = ""
    condition: str = ""
    statement: str = ""
    pipelines: tuple[str, ...] = ()
    action: Literal["", "move", "copy"] = ""

    def __post_init__(self) -> None:
        """Refuse a row that says nothing, or what is not understood.

        Raises:
            ValueError: It is so.
        """
        if not (self.condition or self.statement):
            raise ValueError("invalid route: no condition or statement provided")
        if self.condition and self.statement:
            raise ValueError("invalid route: both condition and statement provided")
        if not self.pipelines:
            raise ValueError("invalid route: no pipelines defined")
        if self.about == "request":
            self.of_request()
        else:
            self.parsed(self.signals[0])

    @property
    def about(self) -> str:
        """What the condition is about."""
        return self.context or "resource"

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What the condition can be about."""
        return _SIGNALS[self.about]

    def of_request(self) -> Callable[[Mapping[str, str]], bool]:
        """Return what decides by the metadata of a request.

        Raises:
            ValueError: The condition is not understood.
        """
        if not self.condition:
            raise ValueError("\"request\" context requires a 'condition'")
        match = _REQUEST.fullmatch(self.condition)
        if match is None:
            raise ValueError(
                f'condition {self.condition!r}: of a request only request["KEY"] == "VALUE" and != are available'
            )
        key, sign, value = match[1].lower(), match[2], match[3]
        if sign == "==":
            return lambda metadata: metadata.get(key) == value
        return lambda metadata: key in metadata and metadata[key] != value

    def parsed(self, signal: Signal) -> Condition | None:
        """Return the condition; ``None`` where everything is meant.

        Raises:
            ValueError: It is not understood.
        """
        text = self.condition
        if self.statement:
            match = _STATEMENT.fullmatch(self.statement)
            if match is None:
                raise ValueError(
                    f"statement {self.statement!r}: only route() and route() where CONDITION are available"
                )
            text = match[1] or ""
        if not text:
            return None
        condition = parse_condition(text, signal, self.about)
        most = Level.RESOURCE if self.about == "resource" else Level.ITEM
        if condition.level > most:
            raise ValueError(f"condition {text!r}: looks deeper than the context {self.about}")
        return condition


@dataclass(frozen=True)
class RoutingConfig:
    """The ``routing`` connector.

    Args:
        table: The rows, tried in this order.
        default_pipelines: Where what no row took goes; without them, it is dropped and counted.
        error_mode: Where a condition cannot be decided: ``propagate`` to refuse the batch for good, ``ignore`` to take
            it as not holding and say so, or ``silent``.
    """

    table: tuple[RouteConfig, ...] = ()
    default_pipelines: tuple[str, ...] = ()
    error_mode: Literal["propagate", "ignore", "silent"] = "propagate"

    def __post_init__(self) -> None:
        """Refuse an empty table.

        Raises:
            ValueError: It is empty.
        """
        if not self.table:
            raise ValueError("invalid routing table: the routing table is empty")
