"""OpenTelemetry's context: what is current here, entered and left without the API's own layers where that is safe."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as api
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

if TYPE_CHECKING:
    from collections.abc import Callable

SPAN_KEY: Final[str] = next(iter(set_span_in_context(INVALID_SPAN, Context())))
"""The key under which OpenTelemetry keeps the current span."""
ACTIVITY_KEY: Final[str] = api.create_key("provtel-activity")
"""The key under which we keep the running activity, which stays while a span of another library is current."""
RUN_KEY: Final[str] = api.create_key("provtel-run")
"""The key under which we keep the current run."""


def _variable() -> ContextVar[Context] | None:
    token: Any = api.attach(api.get_current())
    variable = getattr(token, "var", None)
    api.detach(token)
    return variable if isinstance(variable, ContextVar) else None


VARIABLE: Final = _variable()
"""The variable that holds OpenTelemetry's context; ``None`` where something else does."""


def _functions() -> tuple[Callable[[], Context], Callable[[Context], Any], Callable[[Any], None]]:
    if VARIABLE is not None:
        return VARIABLE.get, VARIABLE.set, VARIABLE.reset
    return api.get_current, api.attach, api.detach


current, attach, _reset = _functions()
"""`current` returns the current context, `attach` makes another one current and returns a token for `detach`."""


def detach(token: object) -> None:
    """Make current again what was current at `attach`; nothing happens where the token is another context's.

    A generator that is closed by the garbage collector, and a block that ends in another task than it began in, have
    such tokens; `opentelemetry.context.detach` would log a traceback for each.
    """
    try:
        _reset(token)
    except (ValueError, RuntimeError):
        return


def with_entries(context: Context, entries: dict[str, object]) -> Context:
    """Return a context that has more entries."""
    return Context({**context, **entries})
