"""The redis receiver, against the real Redis."""

from __future__ import annotations

import gzip
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_collector.counters import Counters
from provtel_collector.delivery.dead_letters import Letter
from provtel_collector.receivers.redis import factory
from provtel_collector.receivers.redis.config import RedisConfig, SignalStreams, Trimming
from provtel_model.components import Batch, Context, Signal
from provtel_model.delivery import RetryOnFailure
from provtel_model.errors import ConfigError, PermanentError, RetryableError
from provtel_model.otlp import to_json
from provtel_model.settings import Duration, Secret

from tests.collector.parts import Recorder, traces
from tests.services.redis import Redis

SECONDS = 30
SOON = RetryOnFailure(initial_interval=Duration(0.02), max_interval=Duration(0.05))
STREAM = "otlp_spans"
GROUP = "otel-collector"
PASSWORD = "hunter2"  # noqa: S105  # of a server that lives for one test
RIGHTS = "~otlp_* +client|setname +xgroup +xreadgroup +xack +xclaim +xautoclaim +xpending +xinfo +xtrim +time"
"""What the README says that a user needs."""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep dead letters in the test's own folder; return the file of those of this receiver."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "provtel" / "dead-letters" / "receivers%3A%3Aredis.jsonl"


def config_for(redis: Redis, **others: Any) -> RedisConfig:
    """Return a configuration that looks often after what others left."""
    quick = {"session_timeout": Duration(0.5), "heartbeat_interval": Duration(0.1), "error_backoff": SOON}
    return RedisConfig(**{"endpoint": redis.address, **quick, **others})


@contextmanager
def receiving(config: RedisConfig, consumer: Any, counters: Counters | None = None) -> Iterator[Counters]:
    """Run a receiver that gives spans to a consumer."""
    counters = counters or Counters()
    receiver = factory.create(config, Context("redis", {Signal.TRACES: consumer}, counters.add, counters.observe))
    receiver.start()
    try:
        yield counters
    finally:
        receiver.shutdown()


def add(redis: Redis, *payloads: bytes, **fields: bytes) -> list[str]:
    """Write entries as anybody may, and return their ids."""
    with redis.client() as client:
        return [client.xadd(STREAM, {"payload": payload, **fields}).decode() for payload in payloads]


def wait(ready: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < deadline, f"waited {SECONDS} s in vain for {what}"
        time.sleep(0.01)


def span_ids(batches: list[Batch]) -> list[int]:
    """Return the ids of all spans, in order."""
    return sorted(
        int.from_bytes(span.span_id, "big")
        for one in batches
        for group in ExportTraceServiceRequest.FromString(one.payload).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    )


def length(redis: Redis) -> int:
    """Return how many entries the stream has."""
    with redis.client() as client:
        return int(client.xlen(STREAM))


def pending(redis: Redis) -> int:
    """Return how many entries were given to a member and are not acknowledged."""
    with redis.client() as client:
        if not client.exists(STREAM):
            return 0
        return sum(int(group["pending"]) for group in client.xinfo_groups(STREAM))


def letters(file: Path) -> list[Letter]:
    """Return the dead letters."""
    return [Letter.from_line(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def test_entries_arrive_and_are_acknowledged(redis: Redis) -> None:
    """Entries from before and after the start reach the pipelines, bytes as they were, and then are gone."""
    add(redis, *(traces(1, number) for number in range(1, 31)))
    recorder = Recorder()

    with receiving(config_for(redis), recorder) as counters:
        wait(lambda: len(recorder.batches) == 30, "30 batches")
        add(redis, *(traces(1, number) for number in range(31, 51)))
        wait(lambda: len(recorder.batches) == 50, "50 batches")
        wait(lambda: length(redis) == 0, "an empty stream")

    assert span_ids(recorder.batches) == list(range(1, 51))
    assert {one.payload for one in recorder.batches} == {traces(1, number) for number in range(1, 51)}
    assert pending(redis) == 0
    assert counters.total("otelcol_redis_receiver_entries") == 50


def test_every_form_is_read(redis: Redis) -> None:
    """Entries in JSON, packed ones, and ones of headers only their own, all are read; metadata travels along."""
    add(redis, to_json(Signal.TRACES, traces(1, 1)), encoding=b"otlp_json")
    (packed,) = add(redis, gzip.compress(traces(1, 2)), compression=b"gzip", **{"header.tenant": b"a"})
    add(redis, traces(1, 3), compression=b"none", something=b"else")
    recorder = Recorder()

    with receiving(config_for(redis), recorder):
        wait(lambda: len(recorder.batches) == 3, "3 batches")

    assert span_ids(recorder.batches) == [1, 2, 3]
    (told,) = [one.metadata for one in recorder.batches if "tenant" in one.metadata]
    assert told == {"tenant": "a", "redis.stream": STREAM, "redis.id": packed}


def test_every_signal_has_its_streams(redis: Redis) -> None:
    """Each signal is read from its own streams, several where there are several."""
    sources: dict[str, Any] = {
        str(signal): SignalStreams((f"{signal}-a", f"{signal}-b"), "otlp_json") for signal in Signal
    }
    recorders = {signal: Recorder() for signal in Signal}
    with redis.client() as client:
        for signal in Signal:
            for letter in "ab":
                client.xadd(f"{signal}-{letter}", {"payload": to_json(signal, b"")})
    receiver = factory.create(config_for(redis, **sources), Context("redis", recorders, lambda *_: None))
    receiver.start()
    try:
        with redis.client() as client:
            wait(lambda: all(client.xlen(f"{signal}-{letter}") == 0 for signal in Signal for letter in "ab"), "all")
    finally:
        receiver.shutdown()


def test_two_signals_in_one_stream_are_refused(redis: Redis) -> None:
    """What would be read as two things is refused."""
    config = config_for(redis, traces=SignalStreams(("a",)), logs=SignalStreams(("a",)))

    with pytest.raises(ConfigError, match="two signals"):
        factory.create(config, Context("redis", {signal: Recorder() for signal in Signal}, lambda *_: None))


def test_refused_for_now_stays(redis: Redis) -> None:
    """What is refused for now is not acknowledged, is tried again, and no other member takes it meanwhile."""
    add(redis, traces(1, 1))
    refusals = threading.Event()
    let_in = threading.Event()

    def refuse(_batch: Batch) -> None:
        if not let_in.is_set():
            refusals.set()
            raise RetryableError("full")

    mine, others = Recorder(refuse), Recorder()
    with receiving(config_for(redis), mine):
        assert refusals.wait(SECONDS)
        with receiving(config_for(redis), others):
            time.sleep(1.5)  # three session timeouts
            assert pending(redis) == 1
            let_in.set()
            wait(lambda: length(redis) == 0, "an empty stream")

    assert (len(mine.batches), len(others.batches)) == (1, 0)


def test_stuck_pipelines_let_little_wait_here(redis: Redis) -> None:
    """While the pipelines are stuck no more is taken than is in hand; the rest is there for other members."""
    add(redis, *(traces(1, number) for number in range(1, 101)))
    let_in = threading.Event()

    def hold(_batch: Batch) -> None:
        let_in.wait(SECONDS)

    stuck, others = Recorder(hold), Recorder()

    with receiving(config_for(redis), stuck):
        wait(lambda: pending(redis) == 16, "16 in hand")
        with receiving(config_for(redis), others):
            wait(lambda: len(others.batches) == 84, "the rest at another member")
        let_in.set()
        wait(lambda: length(redis) == 0, "an empty stream")

    assert span_ids(stuck.batches + others.batches) == list(range(1, 101))


def test_dead_member_is_replaced(redis: Redis) -> None:
    """What a member had in hand that is gone, is given to another, and its name is forgotten."""
    add(redis, *(traces(1, number) for number in range(1, 21)))
    with redis.client() as client:
        client.xgroup_create(STREAM, GROUP, 0)
        client.xreadgroup(GROUP, "dead", {STREAM: ">"}, count=15)
    recorder = Recorder()
    brief = config_for(redis, session_timeout=Duration(0.02), heartbeat_interval=Duration(0.01))

    with receiving(brief, recorder):
        wait(lambda: length(redis) == 0, "an empty stream")
        with redis.client() as client:
            wait(lambda: len(client.xinfo_consumers(STREAM, GROUP)) == 1, "a group without the dead member")

    assert span_ids(recorder.batches) == list(range(1, 21))
    with redis.client() as client:
        assert client.xinfo_consumers(STREAM, GROUP) == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"payload": b"\xff\xff\xff"}, "are no ExportTraceServiceRequest"),
        ({"something": b"else"}, "no field payload, only something"),
        ({"payload": b"{", "encoding": b"otlp_json"}, "cannot be read"),
        ({"payload": b"x", "encoding": b"xml"}, "its encoding is b'xml'"),
        ({"payload": b"x", "compression": b"lzma"}, "its compression is b'lzma'"),
        ({"payload": b"x", "compression": b"gzip"}, "gzip stream of the body is cut"),
        ({"payload": gzip.compress(bytes(65 * 2**20)), "compression": b"gzip"}, "more than 67108864 bytes"),
    ],
)
def test_what_cannot_be_read_is_put_aside(redis: Redis, state: Path, fields: dict[Any, Any], why: str) -> None:
    """An entry that is no request becomes a dead letter with a reason and its place, and the others pass."""
    with redis.client() as client:
        bad = client.xadd(STREAM, fields).decode()
    add(redis, traces(1, 1))
    recorder = Recorder()

    with receiving(config_for(redis), recorder) as counters:
        wait(lambda: length(redis) == 0, "an empty stream")

    (letter,) = letters(state)
    assert why in letter.reason
    assert letter.batch.payload == fields.get("payload", b"")
    assert letter.batch.metadata["redis.id"] == bad
    assert span_ids(recorder.batches) == [1]
    assert counters.total("otelcol_receiver_dead_lettered_spans") == 1
    assert counters.total("otelcol_redis_receiver_unmarshal_failed_spans") == 1


def test_refused_for_good_is_put_aside(redis: Redis, state: Path) -> None:
    """What the pipelines refuse for good becomes a dead letter, whole, which can be put back as the page says."""
    add(redis, traces(3, 1))

    def refuse(_batch: Batch) -> None:
        raise PermanentError("never")

    with receiving(config_for(redis), Recorder(refuse)) as counters:
        wait(lambda: length(redis) == 0, "an empty stream")

    (letter,) = letters(state)
    assert letter.reason == "it is refused for good: never"
    assert letter.batch.payload == traces(3, 1)
    back = f"base64 -d | redis-cli -p {redis.port} -x XADD {STREAM} '*' payload"
    subprocess.run(["sh", "-c", back], input=json.loads(state.read_bytes())["payload"].encode(), check=True)
    again = Recorder()
    with receiving(config_for(redis), again):
        wait(lambda: length(redis) == 0, "an empty stream")
    assert again.batches[0].payload == traces(3, 1)
    assert counters.total("otelcol_receiver_dead_lettered_spans") == 3


def test_refused_for_too_long_is_put_aside(redis: Redis, state: Path) -> None:
    """Who asks for it gets what was refused for so long out of the way."""
    add(redis, traces(1, 1))

    def refuse(_batch: Batch) -> None:
        raise RetryableError("full")

    patience = replace(SOON, max_elapsed_time=Duration(0.2))
    with receiving(config_for(redis, error_backoff=patience), Recorder(refuse)):
        wait(lambda: length(redis) == 0, "an empty stream")

    (letter,) = letters(state)
    assert letter.reason.startswith("it was refused for too long")


def test_entry_that_ends_its_readers_is_put_aside(redis: Redis, state: Path) -> None:
    """An entry that was given to member after member, all of which died, becomes a dead letter; the others pass."""
    bad, *_ = add(redis, *(traces(1, number) for number in range(1, 6)))
    with redis.client() as client:
        client.xgroup_create(STREAM, GROUP, 0)
        client.xreadgroup(GROUP, "dead", {STREAM: ">"})
        for _ in range(10):
            client.xclaim(STREAM, GROUP, "dead", 0, [bad])
    recorder = Recorder()

    with receiving(config_for(redis), recorder):
        wait(lambda: length(redis) == 0, "an empty stream")

    (letter,) = letters(state)
    assert "given to members 12 times" in letter.reason
    assert span_ids(recorder.batches) == [2, 3, 4, 5]


def test_full_disk_makes_entries_wait(redis: Redis, state: Path) -> None:
    """What cannot be put aside is not acknowledged, until it can."""
    state.parent.parent.mkdir(parents=True)
    state.parent.write_text("no folder")
    add(redis, b"\xff\xff")

    with receiving(config_for(redis), Recorder()):
        wait(lambda: pending(redis) == 1, "an entry in hand")
        time.sleep(0.3)
        assert pending(redis) == 1
        state.parent.unlink()
        wait(lambda: length(redis) == 0, "an empty stream")

    assert len(letters(state)) == 1


def test_mistake_in_code_is_tried_again(redis: Redis) -> None:
    """A component that fails in a way that it should not loses nothing."""
    add(redis, traces(1, 1))
    failures = iter(range(2))

    def fail(_batch: Batch) -> None:
        for _ in failures:
            raise ZeroDivisionError

    recorder = Recorder(fail)
    with receiving(config_for(redis), recorder):
        wait(lambda: length(redis) == 0, "an empty stream")

    assert span_ids(recorder.batches) == [1]


def test_trims_only_what_every_group_acknowledged(redis: Redis) -> None:
    """What another group has in hand, or has not read, stays, and all that came after it."""
    ids = add(redis, *(traces(1, number) for number in range(1, 11)))
    with redis.client() as client:
        client.xgroup_create(STREAM, "other", 0)
        client.xreadgroup("other", "somebody", {STREAM: ">"}, count=5)
        client.xack(STREAM, "other", *ids[:3], ids[4])
        recorder = Recorder()
        with receiving(config_for(redis), recorder):
            wait(lambda: length(redis) == 7, "three entries gone")
            time.sleep(0.3)
            assert [id_.decode() for id_, _ in client.xrange(STREAM)] == ids[3:]
            client.xack(STREAM, "other", ids[3])
            wait(lambda: length(redis) == 5, "five entries gone")
            client.xgroup_destroy(STREAM, "other")
            wait(lambda: length(redis) == 0, "an empty stream")

    assert len(recorder.batches) == 10


def test_retention_and_replay(redis: Redis) -> None:
    """What is kept can be read again: from a time or an id by a new group, from anywhere by setting the group back."""
    ids = add(redis, *(traces(1, number) for number in range(1, 4)))
    time.sleep(0.01)
    middle = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    ids += add(redis, *(traces(1, number) for number in range(4, 7)))
    kept = Trimming(retention=Duration(3600))

    def read(**others: Any) -> Recorder:
        recorder = Recorder()
        with receiving(config_for(redis, trim=kept, **others), recorder) as counters:
            wait(lambda: counters.gauges().get(("otelcol_redis_receiver_lag", (("stream", STREAM),))) == 0, "no lag")
            wait(lambda: length(redis) == 6 and bool(recorder.batches), "all")
        return recorder

    assert span_ids(read().batches) == [1, 2, 3, 4, 5, 6]
    assert span_ids(read(group_id="time", initial_offset=middle).batches) == [4, 5, 6]
    assert span_ids(read(group_id="id", initial_offset=ids[2]).batches) == [3, 4, 5, 6]
    redis.look("XGROUP", "SETID", STREAM, GROUP, ids[0])
    assert span_ids(read().batches) == [2, 3, 4, 5, 6]


def test_nothing_is_trimmed_where_that_is_forbidden(redis: Redis) -> None:
    """A user without the right to trim, or one who is told not to, leaves entries where they are."""
    add(redis, traces(1, 1))
    with redis.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", f">{PASSWORD}", *RIGHTS.split(), "-xtrim")
        client.execute_command("ACL", "SETUSER", "full", "on", f">{PASSWORD}", *RIGHTS.split())
        reader = {"username": "reader", "password": Secret(PASSWORD)}
        for config in (config_for(redis, **reader), config_for(redis, group_id="b", trim=Trimming(acknowledged=False))):
            recorder = Recorder()
            with receiving(config, recorder):
                wait(lambda one=recorder: len(one.batches) == 1, "a batch")  # type: ignore[misc]  # bound now
                time.sleep(0.3)
            assert length(redis) == 1
        with receiving(config_for(redis, username="full", password=Secret(PASSWORD)), Recorder()):
            wait(lambda: length(redis) == 0, "an empty stream")


def test_removed_before_anybody_had_it_is_told(redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """Entries that somebody removed while a dead member had them are counted and told of."""
    ids = add(redis, *(traces(1, number) for number in range(1, 4)))
    with redis.client() as client:
        client.xgroup_create(STREAM, GROUP, 0)
        client.xreadgroup(GROUP, "dead", {STREAM: ">"})
        client.xdel(STREAM, *ids[:2])
    recorder = Recorder()

    with receiving(config_for(redis), recorder) as counters:
        wait(lambda: len(recorder.batches) == 1, "a batch")
        wait(lambda: counters.total("otelcol_redis_receiver_entries_lost") == 2, "two that are told of")

    assert any("before anybody had acknowledged" in message for message in caplog.messages)


def test_server_comes_late_and_goes(redis: Redis) -> None:
    """Without a server it waits for one; when one dies and comes back, it goes on."""
    redis.kill()
    recorder = Recorder()
    with receiving(config_for(redis), recorder):
        redis.start()
        add(redis, *(traces(1, number) for number in range(1, 11)))
        wait(lambda: length(redis) == 0, "an empty stream")
        redis.kill()
        redis.start()
        add(redis, *(traces(1, number) for number in range(11, 21)))
        wait(lambda: length(redis) == 0, "an empty stream")

    assert set(span_ids(recorder.batches)) == set(range(1, 21))


@pytest.mark.parametrize("offset", ["earliest", "latest"])
def test_emptied_server(redis: Redis, offset: str) -> None:
    """When somebody empties the server, groups included, what comes afterwards is read from the first on."""
    recorder = Recorder()
    with receiving(config_for(redis, initial_offset=offset), recorder):
        with redis.client() as client:
            wait(lambda: bool(client.exists(STREAM)), "a group")
            client.flushall()
            for number in range(1, 6):
                client.xadd(STREAM, {"payload": traces(1, number)})
        wait(lambda: span_ids(recorder.batches) == [1, 2, 3, 4, 5], "all of them")


def test_latest_passes_over_what_is_there(redis: Redis) -> None:
    """A new group begins behind what is there, where it is told to."""
    add(redis, traces(1, 1))
    recorder = Recorder()
    with receiving(config_for(redis, initial_offset="latest"), recorder):
        with redis.client() as client:
            wait(lambda: bool(client.xinfo_groups(STREAM)), "a group")
        add(redis, traces(1, 2))
        wait(lambda: bool(recorder.batches), "a batch")

    assert span_ids(recorder.batches) == [2]


def test_stop_finishes_what_is_in_hand(redis: Redis) -> None:
    """What a worker has in hand when the collector stops is finished and acknowledged."""
    add(redis, traces(1, 1))
    begun = threading.Event()

    def slow(_batch: Batch) -> None:
        begun.set()
        time.sleep(0.5)

    recorder = Recorder(slow)
    with receiving(config_for(redis), recorder):
        assert begun.wait(SECONDS)

    assert len(recorder.batches) == 1
    assert pending(redis) == 0


def test_as_redis_cli_sees_it(redis: Redis) -> None:
    """Redis's own command shows the group, its members and what an entry holds, as the page says."""
    add(redis, to_json(Signal.TRACES, traces(1, 1)), encoding=b"otlp_json")
    with redis.client() as client:
        client.xgroup_create(STREAM, GROUP, 0)

    assert GROUP in redis.look("XINFO", "GROUPS", STREAM)
    shown = redis.look("--json", "XRANGE", STREAM, "-", "+")
    ((_, fields),) = json.loads(shown)
    assert json.loads(dict(zip(fields[::2], fields[1::2], strict=True))["payload"])["resourceSpans"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"group_id": ""}, "group_id"),
        ({"heartbeat_interval": Duration(10)}, "less than session_timeout"),
        ({"max_deliveries": -1}, "max_deliveries"),
        ({"error_backoff": RetryOnFailure(enabled=False)}, "cannot be disabled"),
        ({"initial_offset": "yesterday"}, "neither earliest nor latest"),
        ({"initial_offset": "2026-01-31T12:00:00"}, "no time zone"),
        ({"initial_offset": "99999999999999999999-0"}, "neither earliest nor latest"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    """What no group could work with is refused with a reason."""
    with pytest.raises(ValueError, match=words):
        RedisConfig(**settings)
