"""Redis that dies, collectors that die, networks that fail: what was acknowledged is in the store, every span once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from provtel_exporters.redis import factory
from provtel_exporters.redis.config import RedisConfig
from provtel_model.components import Context
from provtel_model.settings import Duration

from tests.end_to_end.consumers import SECONDS, SPANS, ids, members, sending
from tests.end_to_end.faults import Faults
from tests.end_to_end.network import network_to
from tests.services.redis import Redis

STREAM = "otlp_spans"


def receiver_of(address: str) -> dict[str, dict[str, Any]]:
    """Return how collectors share a stream as a group that notices soon who is gone."""
    return {"redis": {"endpoint": address, "session_timeout": "2s", "heartbeat_interval": "300ms"}}


def exporter_to(address: str) -> Any:
    """Return our exporter, which gives up soon."""
    return factory.create(RedisConfig(endpoint=address, timeout=Duration(2)), Context("redis", {}, lambda *_: None))


class Choices(Faults):
    """The faults, any of them at any time."""

    def next(self) -> Callable[[], None]:
        """Return what happens next."""
        self.last_for_a_while()
        everything = (
            self.server_dies,
            self.server_freezes,
            self.collector_dies,
            self.network_breaks,
            self.network_is_silent,
            self.network_is_slow,
        )
        return self._chance.choice(everything)


def wait_until_empty(redis: Redis) -> None:
    """Return when every entry was acknowledged and removed."""
    deadline = time.monotonic() + SECONDS
    with redis.client() as client:
        while client.xlen(STREAM):
            assert time.monotonic() < deadline, client.xpending(STREAM, "otel-collector")
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("seed", "times"),
    [(1, 3), *(pytest.param(seed, 12, marks=pytest.mark.long) for seed in range(2, 8))],
)
def test_everything_fails_under_load(redis: Redis, tmp_path: Path, seed: int, times: int) -> None:
    """Whatever dies, freezes or is cut off, what the exporter acknowledged gets stored, once; nothing stays behind."""
    chance = random.Random(seed)  # noqa: S311  # hides nothing
    with ExitStack() as stack:
        network = stack.enter_context(network_to(redis.port))
        group = stack.enter_context(members(tmp_path, receiver_of(network.address), 2, seed))

        def replace_one() -> None:
            group.kill_one()
            group.start()

        faults = Choices(redis, network, replace_one, chance)
        with sending(exporter_to(network.address)) as senders:
            senders.wait_for_more(50)
            for _ in range(times):
                time.sleep(chance.uniform(0, 0.5))
                faults.next()()
                senders.wait_for_more(50)
        acknowledged = ids(*senders.acknowledged)
        group.wait_for(acknowledged)
        wait_until_empty(redis)
        stored = group.stored()

    assert len(acknowledged) > 50 * times * SPANS
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))
    # Beside these, at most what each sender had under way when it stopped.
    assert len(set(stored) - acknowledged) <= 4 * SPANS
    assert group.dead_letters == []


def test_both_ends_die_at_once(redis: Redis, tmp_path: Path) -> None:
    """The server and a collector killed in the middle of their work lose nothing of what was acknowledged."""
    with members(tmp_path, receiver_of(redis.address), 2) as group:
        with sending(exporter_to(redis.address)) as senders:
            senders.wait_for_more(30)
            redis.kill()
            group.kill_one()
            redis.start()
            group.start()
            senders.wait_for_more(30)
        acknowledged = ids(*senders.acknowledged)
        group.wait_for(acknowledged)
        wait_until_empty(redis)

    assert group.dead_letters == []
