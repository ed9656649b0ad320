"""The redis exporter, against the real Redis."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from provtel_exporters.redis import factory
from provtel_exporters.redis.config import Durability, Producer, RedisConfig, SignalStream, Trimming
from provtel_exporters.redis.exporter import RedisExporter
from provtel_model.components import Batch, Context, Signal
from provtel_model.delivery import QueueBatch, SendingQueue
from provtel_model.errors import ConfigError, PermanentError, RetryableError
from provtel_model.otlp import check, from_json
from provtel_model.settings import Duration, Secret
from provtel_model.tls import ClientTls
from provtel_model.unpacking import unpack

from tests.collector.certificates import Authority
from tests.services.found import Found
from tests.services.redis import Redis, free_port, serving

PASSWORD = "hunter2"  # noqa: S105  # of a server that lives for one test
RIGHTS = "~otlp_* +client|setname +ping +xadd +xtrim"  # as the README has them
SECONDS = 30


@contextmanager
def exporting(config: RedisConfig) -> Iterator[RedisExporter]:
    """Run an exporter."""
    exporter: RedisExporter = factory.create(config, Context("redis", {}, lambda *_: None))
    exporter.start()
    try:
        yield exporter
    finally:
        exporter.shutdown()


def config_for(redis: Redis, **others: Any) -> RedisConfig:
    """Return a configuration that writes to a server."""
    return RedisConfig(**{"endpoint": redis.address, **others})


def spans(count: int, size: int = 10) -> Batch:
    """Return a batch of spans with so many letters in the name of each."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add().scope_spans.add()
    for number in range(count):
        group.spans.add(name="x" * size, span_id=(number + 1).to_bytes(8, "big"), trace_id=b"t" * 16)
    return check(Signal.TRACES, request.SerializeToString())


def entries(redis: Redis, stream: str = "otlp_spans") -> list[dict[bytes, bytes]]:
    """Return the fields of all entries of a stream, in order."""
    with redis.client() as client:
        return [fields for _, fields in client.xrange(stream)]


def span_ids(*payloads: bytes) -> list[int]:
    """Return the ids of all spans, in order."""
    return sorted(
        int.from_bytes(span.span_id, "big")
        for payload in payloads
        for group in ExportTraceServiceRequest.FromString(payload).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    )


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_entry_is_the_request_as_it_came(redis: Redis, compression: Literal["none", "gzip", "zstd"]) -> None:
    """An entry holds the bytes that came in, packed on request, once consume() has returned."""
    sent = spans(50)
    with exporting(config_for(redis, producer=Producer(compression=compression))) as exporter:
        exporter.consume(sent)

        (entry,) = entries(redis)

    payload = entry[b"payload"]
    assert (payload if compression == "none" else unpack(payload, compression, 10**6)) == sent.payload
    assert entry.get(b"compression", b"none").decode() == compression
    assert entry[b"encoding"] == b"otlp_proto"


def test_signals_have_streams_of_their_own(redis: Redis) -> None:
    """Spans, metrics and logs go to the streams of their names, or to those that are configured."""
    with exporting(config_for(redis, logs=SignalStream("mine", "otlp_json"))) as exporter:
        for signal in Signal:
            exporter.consume(check(signal, b""))

    with redis.client() as client:
        assert sorted(client.keys("*")) == [b"mine", b"otlp_metrics", b"otlp_spans"]


def test_json(redis: Redis) -> None:
    """On request an entry is text that a person can read."""
    sent = spans(2)
    with exporting(config_for(redis, traces=SignalStream(encoding="otlp_json"))) as exporter:
        exporter.consume(sent)

    (entry,) = entries(redis)
    assert entry[b"encoding"] == b"otlp_json"
    assert span_ids(from_json(Signal.TRACES, entry[b"payload"])) == [1, 2]


def test_metadata_becomes_fields(redis: Redis) -> None:
    """The request metadata that is asked for travels with the entry."""
    batch = Batch(Signal.TRACES, spans(1).payload, 1, {"tenant": "a\nb", "other": "c"})
    with exporting(config_for(redis, include_metadata_keys=("Tenant", "missing"))) as exporter:
        exporter.consume(batch)

    (entry,) = entries(redis)
    assert {name: value for name, value in entry.items() if name.startswith(b"header.")} == {b"header.tenant": b"a\nb"}


def test_large_request_is_cut(redis: Redis) -> None:
    """What no entry may hold is cut into several that are all there; only an item too large alone is refused."""
    with exporting(config_for(redis, producer=Producer(max_message_bytes=2000))) as exporter:
        exporter.consume(spans(100, 100))
        cut = entries(redis)
        with pytest.raises(PermanentError, match="one item of 3"):
            exporter.consume(check(Signal.TRACES, spans(1, 3000).payload + spans(3).payload))

    assert len(cut) > 5
    assert max(len(entry[b"payload"]) for entry in cut) <= 2000
    assert span_ids(*(entry[b"payload"] for entry in cut)) == list(range(1, 101))
    assert span_ids(*(entry[b"payload"] for entry in entries(redis)[len(cut) :])) == [1, 2, 3]


def test_limit_of_the_server_counts(found_redis: Found, tmp_path: Path) -> None:
    """A server that takes less than is configured gets no more than it takes."""
    with serving(found_redis, tmp_path / "small", proto_max_bulk_len="1mb") as small:
        with exporting(config_for(small)) as exporter:
            exporter.consume(spans(3, 800_000))

        assert span_ids(*(entry[b"payload"] for entry in entries(small))) == [1, 2, 3]


def test_nothing_is_trimmed_unasked(redis: Redis) -> None:
    """Without being told, nothing goes."""
    with exporting(config_for(redis)) as exporter:
        for _ in range(300):
            exporter.consume(spans(1))

    assert len(entries(redis)) == 300


def test_trimmed_by_length_and_age(redis: Redis) -> None:
    """On request a stream keeps about so many entries, or none that are older."""
    with redis.client() as client:
        client.config_set("stream-node-max-entries", 10)
    with exporting(config_for(redis, trim=Trimming(max_length=50))) as exporter:
        for _ in range(200):
            exporter.consume(spans(1))
    assert 50 <= len(entries(redis)) <= 60

    with redis.client() as client:
        client.delete("otlp_spans")
        for number in range(1, 101):
            client.xadd("otlp_spans", {"payload": "old"}, id=f"{number}-0")
    with exporting(config_for(redis, trim=Trimming(max_age=Duration(3600)))) as exporter:
        exporter.consume(spans(1))
        exporter.consume(spans(1))
    assert 2 <= len(entries(redis)) <= 12


def test_no_server(redis: Redis) -> None:
    """A server that is away is reason to try again, and is found when it is back, with everything acknowledged."""
    with exporting(config_for(redis)) as exporter:
        exporter.consume(spans(1))
        redis.kill()
        with pytest.raises(RetryableError, match=re.escape(redis.address)):
            exporter.consume(spans(1))
        redis.start()
        exporter.consume(spans(2))

    assert [len(span_ids(entry[b"payload"])) for entry in entries(redis)] == [1, 2]


def test_full_memory_is_for_now(found_redis: Found, tmp_path: Path) -> None:
    """A server whose memory is full refuses for now; the error holds nothing of what was sent."""
    with serving(found_redis, tmp_path / "full", maxmemory="1500kb") as full, exporting(config_for(full)) as exporter:
        with pytest.raises(RetryableError, match="maxmemory") as error:
            _fill(exporter)
        with full.client() as client:
            client.config_set("maxmemory", "1gb")
        exporter.consume(spans(1))

    assert "xxxx" not in str(error.value)


def _fill(exporter: RedisExporter) -> None:
    for _ in range(100):
        exporter.consume(spans(1, 100_000))


def test_replica_is_for_now(redis: Redis) -> None:
    """A server that became a replica takes entries again when it is the master."""
    with exporting(config_for(redis)) as exporter, redis.client() as client:
        exporter.consume(spans(1))
        client.replicaof("127.0.0.1", free_port())
        with pytest.raises(RetryableError, match="read only replica"):
            exporter.consume(spans(1))
        client.replicaof("NO", "ONE")
        exporter.consume(spans(1))


def test_loading_is_for_now(redis: Redis) -> None:
    """A server that still reads its data is reason to try again, and then it has everything."""
    with exporting(config_for(redis)) as exporter:
        exporter.consume(spans(1))
        with redis.client() as client, client.pipeline() as line:
            for number in range(6000):  # it answers once in a thousand while it reads
                line.set(str(number), "")
            line.execute()
        redis.kill()
        redis.settings["key-load-delay"] = "100"
        starting = threading.Thread(target=redis.start)
        starting.start()
        refusals = []
        while starting.is_alive():
            try:
                exporter.consume(spans(1))
            except RetryableError as error:
                refusals.append(str(error))
        starting.join()

    assert any("loading" in refusal for refusal in refusals), set(refusals)
    assert len(entries(redis)) >= 1


def test_user_of_the_acl(redis: Redis) -> None:
    """A user writes with no more rights than the README names."""
    with redis.client() as client:
        client.execute_command("ACL", "SETUSER", "writer", "on", f">{PASSWORD}", *RIGHTS.split())
        client.execute_command("ACL", "SETUSER", "default", "off")
    trim = Trimming(max_length=100, max_age=Duration(3600))
    with exporting(config_for(redis, username="writer", password=Secret(PASSWORD), trim=trim)) as exporter:
        exporter.consume(spans(1))
        exporter.consume(spans(1))


def test_without_rights_it_is_for_now(redis: Redis) -> None:
    """Who may not write, or is not known, is told so and may try again; no password is in the words."""
    with redis.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~*", "+ping", "+xlen")
        client.execute_command("ACL", "SETUSER", "default", "off")
    wrong = config_for(redis, username="reader", password=Secret("hunter3"))
    for config, why in (
        (config_for(redis), "Authentication required"),
        (wrong, "invalid username-password"),
        (config_for(redis, username="reader", password=Secret(PASSWORD)), "no permissions"),
    ):
        with exporting(config) as exporter, pytest.raises(RetryableError, match=why) as error:
            exporter.consume(spans(1))
        assert "hunter" not in str(error.value) + repr(config)


def test_other_kind_of_key_is_for_now(redis: Redis) -> None:
    """A key that is no stream is told, and mended by whoever made it."""
    with exporting(config_for(redis)) as exporter, redis.client() as client:
        client.set("otlp_spans", "text")
        with pytest.raises(RetryableError, match="WRONGTYPE"):
            exporter.consume(spans(1))
        client.delete("otlp_spans")
        exporter.consume(spans(1))


def test_socket(redis: Redis) -> None:
    """A server on the same machine is reached by its socket."""
    with exporting(config_for(redis, endpoint=str(redis.socket), transport="unix")) as exporter:
        exporter.consume(spans(1))

    assert len(entries(redis)) == 1


def test_tls_with_certificates_on_both_sides(found_redis: Found, tmp_path: Path) -> None:
    """The server is known by its authority and name, and the client by its certificate, else nothing is sent."""
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    own, mine, wrong = authority.sign("server"), authority.sign("client"), other.sign("client")
    port = free_port()
    settings = {
        "tls_port": str(port),
        "tls_cert_file": own.certificate,
        "tls_key_file": own.key,
        "tls_ca_cert_file": authority.file,
    }
    good = ClientTls(ca_file=authority.file, cert_file=mine.certificate, key_file=mine.key)
    with serving(found_redis, tmp_path / "tls", **settings) as server:
        endpoint = f"localhost:{port}"
        with exporting(config_for(server, endpoint=endpoint, tls=good)) as exporter:
            exporter.consume(spans(1))
        by_number = replace(good, server_name_override="localhost")
        with exporting(config_for(server, endpoint=f"127.0.0.1:{port}", tls=by_number)) as exporter:
            exporter.consume(spans(1))
        for tls, where, why in (
            (replace(good, ca_file=other.file), endpoint, "CERTIFICATE_VERIFY_FAILED"),
            (good, f"127.0.0.1:{port}", "IP address mismatch"),
            (replace(good, cert_file=wrong.certificate, key_file=wrong.key), endpoint, "Redis at"),
            (replace(good, cert_file="", key_file=""), endpoint, "Redis at"),
        ):
            bad = config_for(server, endpoint=where, tls=tls)
            with exporting(bad) as exporter, pytest.raises(RetryableError, match=why):
                exporter.consume(spans(1))

        assert len(entries(server)) == 2


def test_missing_certificate_is_found_at_the_start(redis: Redis) -> None:
    """A file that is not there is told before anything runs."""
    config = config_for(redis, tls=ClientTls(ca_file="/nowhere.pem"))

    with pytest.raises(ConfigError, match="ca_file: cannot read"), exporting(config):
        pass


def test_waits_for_replicas(redis: Redis, found_redis: Found, tmp_path: Path) -> None:
    """An entry counts as sent when so many replicas have it; while they are missing nothing piles up."""
    config = config_for(redis, durability=Durability(replicas=1), timeout=Duration(20))
    with redis.client() as client:
        client.config_set("repl-diskless-sync-delay", 0)
    with exporting(config) as exporter:
        for _ in range(3):
            with pytest.raises(RetryableError, match="0 of 1 replicas have it"):
                exporter.consume(spans(1))
        assert entries(redis) == []
        with serving(found_redis, tmp_path / "replica", replicaof=f"127.0.0.1 {redis.port}"):
            deadline = time.monotonic() + SECONDS
            while True:
                try:
                    exporter.consume(spans(1))
                    break
                except RetryableError:
                    assert time.monotonic() < deadline

    assert len(entries(redis)) == 1


def test_waits_for_disks(redis: Redis) -> None:
    """An entry counts as sent when it is on the disk; a server that cannot say so is told of, and nothing piles up."""
    with redis.client() as client:
        version = tuple(map(int, client.info("server")["redis_version"].split(".")[:2]))
    with exporting(config_for(redis, durability=Durability(fsync=True))) as exporter:
        if version >= (7, 2):
            exporter.consume(spans(1))
            with redis.client() as client:
                client.config_set("appendonly", "no")
        for _ in range(3):
            with pytest.raises(RetryableError, match=r"durability|WAITAOF"):
                exporter.consume(spans(1))

    assert len(entries(redis)) == (2 if version >= (7, 2) else 0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"appendonly": "no"}, "no append-only file"), ({"maxmemory_policy": "allkeys-lru"}, "removes streams")],
)
def test_server_that_loses_data_is_told_of(
    found_redis: Found, tmp_path: Path, settings: dict[str, str], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who runs the exporter is warned once of a server whose settings lose what was acknowledged."""
    with (
        caplog.at_level(logging.WARNING),
        serving(found_redis, tmp_path / "careless", **settings) as server,
        exporting(config_for(server)) as exporter,
    ):
        exporter.consume(spans(1))
        exporter.consume(spans(1))

    assert [words in message for message in caplog.messages] == [True]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"endpoint": f"redis://:{PASSWORD}@host:6379"}, "host:port"),
        ({"endpoint": "host"}, "host:port"),
        ({"endpoint": "host:70000"}, "host:port"),
        ({"endpoint": "localhost:6379", "transport": "unix"}, "path of a socket"),
        ({"endpoint": "/run/redis.sock", "transport": "unix", "tls": ClientTls()}, "exclude"),
        ({"username": "writer"}, "password is required"),
        ({"db": -1}, "non-negative"),
        ({"client_id": "two words"}, "client_id"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    """What could reach no server is refused with a reason, which shows no password."""
    with pytest.raises(ValueError, match=words) as error:
        RedisConfig(**settings)

    assert PASSWORD not in str(error.value)


def test_wrong_numbers_are_refused() -> None:
    """Sizes, lengths and counts have their ranges; metadata that batching would lose is refused."""
    for wrong in (
        lambda: Producer(max_message_bytes=0),
        lambda: Producer(max_message_bytes=2**40),
        lambda: Trimming(max_length=-1),
        lambda: Durability(replicas=-1),
        lambda: RedisConfig(include_metadata_keys=("tenant",), sending_queue=SendingQueue(batch=QueueBatch())),
    ):
        with pytest.raises(ValueError, match="must be"):
            wrong()
