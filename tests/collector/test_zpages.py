"""The zpages extension shows a person what runs."""

from __future__ import annotations

import http.client
import time
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest
from provtel_collector.delivery.journeys import BOUNDS, Failure, Journeyed, Journeys
from provtel_collector.extensions.zpages import factory
from provtel_collector.extensions.zpages.config import ZPagesConfig
from provtel_collector.extensions.zpages.extension import ZPages
from provtel_model.components import Context, Signal
from provtel_model.errors import ConfigError, RetryableError

from tests.collector.parts import Recorder, Workshop, batch, raising

DOCUMENT = """
receivers: {part/r: }
processors: {part/p: }
exporters: {part/e: }
extensions: {zpages: {endpoint: "127.0.0.1:0"}, part/x: }
service:
  extensions: [zpages, part/x]
  pipelines:
    traces/main: {receivers: [part/r], processors: [part/p], exporters: [part/e]}
    logs: {receivers: [part/r], exporters: [part/e]}
"""


class Text(HTMLParser):
    """The text of a page, cell by cell.

    Args:
        page: The page.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.cells.append(data)


def ask(address: str, path: str) -> tuple[int, list[str]]:
    """Return the status of a page, and its texts."""
    connection = http.client.HTTPConnection(address.split("/")[2], timeout=10)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, Text(answer.read().decode()).cells


def test_pages(tmp_path: Path) -> None:
    """Every page answers, and shows what it is about."""
    workshop = Workshop(tmp_path)
    with workshop.service(DOCUMENT) as service:
        (address,) = service.addresses("zpages")
        receiver = workshop.part("part/r").context
        receiver.next[Signal.TRACES].consume(batch(3))
        workshop.parts["part/e"][0].failing = {"consume": RetryableError("<no> room")}
        with pytest.raises(RetryableError):
            receiver.next[Signal.LOGS].consume(batch(2, Signal.LOGS))
        shown = {
            name: ask(address, f"/debug/{name}")
            for name in ("servicez", "pipelinez", "extensionz", "featurez", "tracez")
        }
        missing = ask(address, "/debug/rpcz")[0], ask(address, "/")[0]

    assert {status for status, _ in shown.values()} == {200}
    assert missing == (404, 404)
    assert {"Service provtel", "Uptime", "extensions::zpages", address} <= set(shown["servicez"][1])
    assert {"traces/main", "part/r", "part/p", "part/e"} <= set(shown["pipelinez"][1])
    assert {"zpages", "part/x"} <= set(shown["extensionz"][1])
    assert "<no> room" in shown["tracez"][1]


def test_not_ready() -> None:
    """Before the collector has started there is nothing to show."""
    extension = factory.create(ZPagesConfig("127.0.0.1:0"), Context("zpages", {}, lambda *_: None))
    assert isinstance(extension, ZPages)
    extension.start()
    try:
        assert ask(extension.addresses[0], "/debug/servicez")[0] == 503
    finally:
        extension.shutdown()


def test_address_in_use() -> None:
    """Two cannot listen in one place."""
    first = factory.create(ZPagesConfig("127.0.0.1:0"), Context("zpages", {}, lambda *_: None))
    first.start()
    second = factory.create(ZPagesConfig(first.addresses[0].split("/")[2]), Context("zpages", {}, lambda *_: None))
    try:
        with pytest.raises(ConfigError, match=r"^extensions::zpages::endpoint: .* already in use"):
            second.start()
    finally:
        first.shutdown()


@pytest.mark.parametrize(("endpoint", "message"), [("", '"endpoint" is required'), ("nowhere", "missing port")])
def test_refused_endpoint(endpoint: str, message: str) -> None:
    """An endpoint that is none is refused."""
    with pytest.raises(ValueError, match=message):
        ZPagesConfig(endpoint)


def test_journeys() -> None:
    """Batches are sorted by how long they took; of those that were refused the last are kept with the reason."""
    journeys, recorder = Journeys(), Recorder(lambda _: time.sleep(0.02))
    way = Journeyed(recorder, journeys)

    way.consume(batch(3))
    recorder.doing = raising(RetryableError("later"))
    for _ in range(20):
        with pytest.raises(RetryableError):
            way.consume(batch(2))

    assert sum(journeys.taken) == 1
    assert sum(journeys.taken[: BOUNDS.index(1e-2)]) == 0
    assert len(journeys.failures) == 10
    assert journeys.underway == 0
    failure = journeys.failures[0]
    assert isinstance(failure, Failure)
    assert (failure.items, failure.reason) == (2, "later")
