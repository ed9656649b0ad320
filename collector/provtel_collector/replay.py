"""Sends dead letters again, by the exporter that could not deliver them, whether a collector runs or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from provtel_collector_config.ids import ComponentId, Kind
from provtel_model.components import Batch, Component, Context, Storage
from provtel_model.errors import RetryableError

from provtel_collector.delivery.announced import Announced
from provtel_collector.delivery.dead_letters import DeadLetters
from provtel_collector.delivery.delivered import dead_letters_folder
from provtel_collector.delivery.isolated import Isolated
from provtel_collector.located import located

if TYPE_CHECKING:
    from provtel_collector_config.configuration import Configuration
    from provtel_model.components import Exporter


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of an exporter's dead letters.

    Args:
        exporter: Its id.
        file: Where they are.
        sent: Items that were delivered.
        left: Letters that stay, as the destination does not answer or there is nothing in them that could be sent.
        refused: Items that were refused for good again, and are in the file again.
        reason: Why what stays does.
    """

    exporter: str
    file: Path
    sent: int
    left: int
    refused: int
    reason: str


def replay(configuration: Configuration, exporter_id: ComponentId) -> Replay:
    """Send the dead letters of an exporter again; what is refused again stays, the rest of its batch goes.

    Raises:
        UserError: The exporter cannot run as it is configured.
        OSError: The letters cannot be read or written.
    """
    counts: Counter[str] = Counter()

    def report(name: str, count: int, _attributes: Mapping[str, str]) -> None:
        counts[name.rpartition("exporter_")[2].partition("_")[0]] += count

    extensions = _OnDemand(configuration)
    context = Context(str(exporter_id), {}, report, extensions=extensions)
    configured = configuration.components[Kind.EXPORTERS][exporter_id]
    letters = DeadLetters(dead_letters_folder(configured.config, context), str(exporter_id))
    with located(f"exporters::{exporter_id}"):
        exporter: Exporter = configured.factory.create(configured.config, context)
        exporter.start()
    try:
        way = _UntilAway(Isolated(Announced(exporter, f"exporters::{exporter_id}"), report, letters, keeps=False))
        done = letters.replay(way.consume)
    finally:
        exporter.shutdown()
        extensions.shutdown()
    return Replay(str(exporter_id), letters.file, counts["sent"], done.left, counts["dead"], done.reason)


class _UntilAway:
    """Gives batches on until the first one that is refused for now; a destination that is away is asked once."""

    def __init__(self, consumer: Isolated) -> None:
        self._consumer = consumer
        self._away: RetryableError | None = None

    def consume(self, batch: Batch) -> None:
        """Give a batch on."""
        if self._away is not None:
            raise self._away
        try:
            self._consumer.consume(batch)
        except RetryableError as error:
            self._away = error
            raise


class _OnDemand(Mapping[str, Component]):
    """The extensions of a configuration, each made and started when it is asked for.

    A storage is not started: a collector that runs may be using it.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._made: dict[str, Component] = {}

    def __getitem__(self, text: str) -> Component:
        if text not in self._made:
            self._made[text] = self._make(text)
        return self._made[text]

    def __iter__(self) -> Iterator[str]:
        return iter(map(str, self._configuration.extensions))

    def __len__(self) -> int:
        return len(self._configuration.extensions)

    def shutdown(self) -> None:
        """Stop what was started."""
        for extension in self._made.values():
            extension.shutdown()

    def _make(self, text: str) -> Component:
        id_ = next((one for one in self._configuration.extensions if str(one) == text), None)
        if id_ is None:
            raise KeyError(text)
        configured = self._configuration.components[Kind.EXTENSIONS][id_]
        context = Context(text, {}, lambda *_: None, extensions=self)
        with located(f"extensions::{text}"):
            extension = cast("Component", configured.factory.create(configured.config, context))
            if not isinstance(extension, Storage):
                extension.start()
        return extension
