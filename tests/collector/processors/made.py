"""Processors as a configuration would make them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from provtel_collector.registry import find_factory
from provtel_collector_config.dataclass_loading import load_dataclass
from provtel_collector_config.ids import Kind
from provtel_model.components import Context, Signal

from tests.collector.parts import Recorder


class Made:
    """A component with what follows it, and what it counted.

    Args:
        type_: Its type.
        config: What a user writes.
        recorder: What follows it.
        **context: More of its context.
    """

    def __init__(
        self, type_: str, config: Any, recorder: Recorder | None = None, kind: Kind = Kind.PROCESSORS, **context: Any
    ) -> None:
        self.recorder = recorder or Recorder()
        self.counts: Counter[tuple[str, ...]] = Counter()
        factory = find_factory(kind, type_)
        loaded, problems = load_dataclass(factory.config, config)
        assert problems == []
        following = context.pop("following", dict.fromkeys(Signal, self.recorder))
        self.component = factory.create(loaded, Context(f"{type_}/one", following, self._report, **context))

    def _report(self, name: str, count: int, attributes: Mapping[str, str]) -> None:
        self.counts[name, *attributes.values()] += count

    def __enter__(self) -> Any:
        self.component.start()
        return self.component

    def __exit__(self, *_: object) -> None:
        self.component.shutdown()
