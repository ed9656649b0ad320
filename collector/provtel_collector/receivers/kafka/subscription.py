"""Which topics a receiver reads, and what is in each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from provtel_model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provtel_model.components import Signal

    from provtel_collector.receivers.kafka.config import SignalTopics


class Subscription:
    """Knows the signal of each topic.

    Args:
        sources: Where each signal comes from.

    Raises:
        ConfigError: Two signals come from one topic.
    """

    def __init__(self, sources: Mapping[Signal, SignalTopics]) -> None:
        self._sources = sources
        self._names = {
            topic: signal for signal, source in sources.items() for topic in source.topics if not _is_pattern(topic)
        }
        if len(self._names) < sum(not _is_pattern(topic) for source in sources.values() for topic in source.topics):
            raise ConfigError("a topic cannot hold two signals; give each signal topics of its own")
        patterns = {signal: _pattern(source) for signal, source in sources.items()}
        self._patterns = {signal: re.compile(pattern) for signal, pattern in patterns.items() if pattern}

    def arguments(self) -> dict[str, Any]:
        """Return what a consumer of kafka-python subscribes to."""
        if not self._patterns:
            return {"topics": list(self._names)}
        names = [f"^{re.escape(name)}$" for name in self._names]
        return {"pattern": _any_of([*names, *(found.pattern for found in self._patterns.values())])}

    def signal(self, topic: str) -> Signal:
        """Return what a topic holds; a name counts before an expression.

        Raises:
            KeyError: It is no topic of these.
        """
        if topic in self._names:
            return self._names[topic]
        for signal, pattern in self._patterns.items():
            if pattern.match(topic):
                return signal
        raise KeyError(topic)

    def is_json(self, signal: Signal) -> bool:
        """Say whether the records of a signal are OTLP's JSON."""
        return self._sources[signal].encoding == "otlp_json"


def _is_pattern(topic: str) -> bool:
    return topic.startswith("^")


def _pattern(source: SignalTopics) -> str:
    """Return one expression that matches from the beginning of a name; an empty one where there is none."""
    wanted = [topic for topic in source.topics if _is_pattern(topic)]
    if not wanted:
        return ""
    without = f"(?!.*{_any_of(source.exclude_topics)})" if source.exclude_topics else ""
    return f"{without}.*{_any_of(wanted)}"


def _any_of(patterns: Iterable[str]) -> str:
    return "(?:" + "|".join(f"(?:{pattern})" for pattern in patterns) + ")"
