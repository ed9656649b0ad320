"""The ledger of a collector: what came in, and what became of it, from its own metrics."""

from __future__ import annotations

import http.client
import re
from collections import defaultdict
from contextlib import closing
from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from provtel_model.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

DEFAULT_ADDRESS: Final = "http://localhost:8888/metrics"

_SECONDS: Final = 10
_PREFIX: Final = "otelcol_"
_ITEMS: Final = {"traces": "spans", "metrics": "metric_points", "logs": "log_records"}
_FILTERED: Final = {"traces": "spans", "metrics": "datapoints", "logs": "logs"}
_SAMPLE: Final = re.compile(r"([\w:]+)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:\\.|[^"\\])*)"')


class Sample(NamedTuple):
    """A figure of a collector.

    Args:
        name: What it is.
        labels: What it is told apart by.
        value: The figure.
    """

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Received:
    """What came in of a signal, all receivers together.

    Args:
        signal: The signal.
        accepted: Items that were taken, each answered as safe.
        refused: Items that were not: whoever sent them knows it.
        filtered: Items that were deliberately dropped.
        dead_lettered: Items, or records that hold none, that receivers put aside.
    """

    signal: str
    accepted: int
    refused: int
    filtered: int
    dead_lettered: int


@dataclass(frozen=True)
class Given:
    """What became of what one exporter was given of a signal.

    Args:
        exporter: The exporter.
        signal: The signal.
        received: Items that were answered as safe.
        restored: Items that an earlier process left in the queue.
        sent: Items that the destination took.
        dead_lettered: Items that were put aside.
        queued: Items that wait, those being sent included.
    """

    exporter: str
    signal: str
    received: int
    restored: int
    sent: int
    dead_lettered: int
    queued: int

    @property
    def underway(self) -> int:
        """What is in none of the others at this moment; for long in none of them is lost."""
        return self.received + self.restored - self.sent - self.dead_lettered - self.queued


def read_samples(address: str) -> list[Sample]:
    """Return what a collector shows.

    Args:
        address: Where, such as ``http://localhost:8888/metrics``; the path may be left out.

    Raises:
        UserError: There is no collector there.
    """
    place = urlsplit(address if "//" in address else f"//{address}")
    connection = http.client.HTTPConnection(place.hostname or "localhost", place.port or 8888, timeout=_SECONDS)
    with closing(connection):
        try:
            connection.request("GET", place.path or "/metrics")
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise UserError(
                f"no collector shows its metrics at {address}: {error}; say where by --collector ADDRESS, as "
                "service.telemetry.metrics of its configuration has it"
            ) from error
    if answer.status != http.HTTPStatus.OK:
        raise UserError(f"{address} answers {answer.status} {answer.reason}, not the metrics of a collector")
    return list(parsed(text))


def parsed(text: str) -> Iterator[Sample]:
    """Yield the samples of a text in Prometheus's format."""
    for line in text.split("\n"):
        match = None if line.startswith("#") else _SAMPLE.fullmatch(line)
        if match:
            labels = {key: re.sub(r"\\(.)", _unescaped, value) for key, value in _LABEL.findall(match[2] or "")}
            yield Sample(match[1], labels, float(match[3]))


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


class Ledger:
    """What came in, and what became of it.

    Args:
        samples: What a collector shows.
    """

    def __init__(self, samples: list[Sample]) -> None:
        self._sums: dict[tuple[str, str, str], int] = defaultdict(int)
        self._totals: dict[str, int] = defaultdict(int)
        for name, labels, value in samples:
            own = name.removeprefix(_PREFIX)
            self._totals[own] += int(value)
            self._sums[own, labels.get("exporter", ""), labels.get("data_type", "")] += int(value)

    def received(self) -> list[Received]:
        """Return what came in, by signal; signals without anything are left out."""
        rows = [
            Received(
                signal,
                self._totals[f"receiver_accepted_{items}"],
                self._totals[f"receiver_refused_{items}"],
                self._totals[f"processor_filter_{_FILTERED[signal]}_filtered"]
                + self._totals[f"connector_routing_dropped_{items}"],
                self._totals[f"receiver_dead_lettered_{items}"],
            )
            for signal, items in _ITEMS.items()
        ]
        return [row for row in rows if row.accepted or row.refused or row.filtered or row.dead_lettered]

    def given(self) -> list[Given]:
        """Return what became of it, by exporter and signal."""
        exporters = sorted({exporter for _, exporter, _ in self._sums if exporter})
        rows = [self._given(exporter, signal) for exporter in exporters for signal in _ITEMS]
        return [row for row in rows if row.received or row.restored or row.sent or row.dead_lettered or row.queued]

    def _given(self, exporter: str, signal: str) -> Given:
        def counted(name: str) -> int:
            return self._sums[f"exporter_{name}_{_ITEMS[signal]}", exporter, ""]

        return Given(
            exporter,
            signal,
            received=counted("received"),
            restored=self._sums["exporter_queue_restored_items", exporter, signal],
            sent=counted("sent"),
            dead_lettered=counted("dead_lettered"),
            queued=self._sums["exporter_queue_items", exporter, signal],
        )

    def stored(self) -> dict[str, dict[str, int]]:
        """Return of each store how many records, data points and log records it took, and how many it had already."""
        names = {"stored": "stored_records", "duplicate": "duplicate_records"}
        exporters = sorted({exporter for name, exporter, _ in self._sums if name == "exporter_stored_records"})
        return {
            exporter: {key: self._sums[f"exporter_{name}", exporter, ""] for key, name in names.items()}
            for exporter in exporters
        }

    def as_json(self) -> dict[str, Any]:
        """Return it as an object for programs."""
        return {
            "received": [asdict(row) for row in self.received()],
            "exporters": [asdict(row) | {"underway": row.underway} for row in self.given()],
            "stores": self.stored(),
        }

    def tables(self) -> list[Table]:
        """Return it for people."""
        tables = [
            _table(
                ("signal", "accepted", "refused", "filtered", "dead letters"), [astuple(row) for row in self.received()]
            ),
            _table(
                ("exporter", "signal", "received", "restored", "sent", "dead letters", "queued", "underway"),
                [(*astuple(row), row.underway) for row in self.given()],
            ),
        ]
        stores = [(name, *counts.values()) for name, counts in self.stored().items()]
        return [*tables, _table(("store", "stored", "duplicate"), stores)] if stores else tables


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in head:
        table.add_column(name, justify="left" if name in {"signal", "exporter", "store"} else "right")
    for row in rows:
        table.add_row(*map(str, row))
    return table
