"""Span processors of the SDK, stock exporters behind them: they are told of our spans as they are of the SDK's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from provtel import notices

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context

_MILLISECOND: Final = 1e-3


class Processors:
    """The span processors of a provider, in the order in which they were added.

    What one of them raises is said once, and harms neither the program nor the others.

    Args:
        readable: Makes what they are given of a span that ended.
    """

    def __init__(self, readable: Callable[[Any], Any]) -> None:
        """Begin with none."""
        self._readable = readable
        self._all: tuple[Any, ...] = ()

    def add(self, processor: Any) -> None:
        """Tell one more from now on."""
        self._all = (*self._all, processor)

    def on_start(self, span: Any, context: Context | None) -> None:
        """Tell that a span started."""
        for processor in self._all:
            _unharmed(processor, "on_start", span, parent_context=context)

    def on_ending(self, span: Any) -> None:
        """Tell that a span is about to end, and can be told more for the last time."""
        for processor in self._all:
            if hasattr(processor, "_on_ending"):
                _unharmed(processor, "_on_ending", span)

    def on_end(self, span: Any) -> None:
        """Tell that a span ended."""
        try:
            readable = self._readable(span)
        except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
            notices.capture_failed("a span for other exporters", error)
            return
        for processor in self._all:
            _unharmed(processor, "on_end", readable)

    def force_flush(self, timeout_millis: int) -> bool:
        """Let all of them export what they have; say whether they did in time."""
        until = time.monotonic() + timeout_millis * _MILLISECOND
        flushed = True
        for processor in self._all:
            left = int((until - time.monotonic()) / _MILLISECOND)
            flushed = left > 0 and _unharmed(processor, "force_flush", left) is not False and flushed
        return flushed

    def shutdown(self) -> None:
        """Shut all of them down."""
        for processor in self._all:
            _unharmed(processor, "shutdown")


def _unharmed(processor: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    try:
        return getattr(processor, method)(*args, **kwargs)
    except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
        what = f"{type(processor).__module__}.{type(processor).__qualname__}.{method}"
        notices.say(f"processor {what}", f"{what} failed: {type(error).__qualname__}: {error}; the program goes on")
        return False
