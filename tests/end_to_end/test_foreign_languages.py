"""Programs in Go and Java that send by OpenTelemetry's own SDKs see success, throttling and refusal as they should."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from provtel_model.components import Batch
from provtel_model.errors import DeliveryError, PermanentError, RetryableError

from tests.collector.otlp_receivers import receiving
from tests.collector.parts import Recorder
from tests.services.found import Found
from tests.services.sdks.programs import send

PROTOCOLS = ["http", "grpc"]


@pytest.fixture(params=["go_sdk", "java_sdk"])
def program(request: pytest.FixtureRequest, found_sdk: Callable[[str], Found]) -> Found:
    """Find the program of a language."""
    return found_sdk(str(request.param))


def address(protocol: str, addresses: tuple[str, ...]) -> str:
    """Return where a protocol is spoken."""
    return addresses[PROTOCOLS.index(protocol)].partition("//")[2]


@pytest.mark.parametrize("packing", ["none", "gzip"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_success(program: Found, protocol: str, packing: str) -> None:
    """Every span arrives, each request is taken, and one connection serves them all."""
    recorder = Recorder()
    with receiving(recorder) as receiver:
        exports = send(program, protocol, address(protocol, receiver.addresses), packing, 5)

    assert [export.taken for export in exports] == [True] * 5, exports
    assert sum(batch.items for batch in recorder.batches) == 5
    assert all(b"span" in batch.payload for batch in recorder.batches)


class Reluctant:
    """A consumer that refuses at first.

    Args:
        errors: What it raises, one after another, before it takes.
    """

    def __init__(self, *errors: DeliveryError) -> None:
        self.errors = list(errors)
        self.times: list[float] = []
        self.taken = 0

    def consume(self, batch: Batch) -> None:
        """Refuse or take."""
        self.times.append(time.monotonic())
        if self.errors:
            raise self.errors.pop(0)
        self.taken += batch.items


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_throttling(program: Found, protocol: str) -> None:
    """A request that is refused for now is sent again, and is taken then; who heeds the wait that we ask for waits."""
    reluctant = Reluctant(RetryableError("full", 1.0), RetryableError("full"))
    with receiving(reluctant) as receiver:
        (export,) = send(program, protocol, address(protocol, receiver.addresses))

    assert export.taken, export
    assert (reluctant.taken, len(reluctant.times)) == (1, 3)
    # The SDK for Java waits as long as it likes, and the one for Go takes the seconds of Retry-After for nanoseconds.
    if (program.service, protocol) == ("go_sdk", "grpc"):
        assert reluctant.times[1] - reluctant.times[0] >= 0.9


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_refusal(program: Found, protocol: str) -> None:
    """A request that is refused for good is not sent again, and the program is told."""
    reluctant = Reluctant(PermanentError("never this"))
    with receiving(reluctant) as receiver:
        (export,) = send(program, protocol, address(protocol, receiver.addresses))

    assert not export.taken
    assert (reluctant.taken, len(reluctant.times)) == (0, 1)
    assert "never this" in export.told
