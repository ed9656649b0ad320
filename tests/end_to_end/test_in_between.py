"""A workflow's way through a queue, by the presets that users run: program, collector, queue, collector, store."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.end_to_end.processes import PROVTEL, SECONDS, Place, free_address, wait
from tests.services.found import Found
from tests.services.kafka.server import running
from tests.services.redis import Redis

TASKS = 30
PROGRAM = f"""
from provtel import task, workflow


@task
def square(number):
    return number * number


@workflow
def squares():
    for number in range({TASKS}):
        square(number)


squares()
"""


@contextmanager
def collecting(place: Place, preset: str, metrics: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a collector by a preset, from when it is healthy to the end of the block."""
    health = free_address()
    environment = place.environment(
        PROVTEL_COLLECTOR_HEALTH_ENDPOINT=health,
        PROVTEL_COLLECTOR_GRPC_ENDPOINT=free_address(),
        PROVTEL_COLLECTOR_METRICS_PORT=metrics.rpartition(":")[2],
        **more,
    )
    log = place.folder / f"{preset}.log"

    def is_healthy() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"http://{health}/", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    with log.open("wb") as output:
        process = subprocess.Popen(
            [PROVTEL, "collector", "--config", f"preset:{preset}"],
            cwd=place.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait(is_healthy, f"a healthy collector; its log is {log}")
        yield process
    finally:
        process.kill()
        process.wait()


def test_workflow_reaches_the_store_through_kafka(found_kafka: Found, tmp_path: Path) -> None:
    """What a program records on one side of Kafka is found in a store on the other, every task once."""
    # A server of its own: the presets have the topics of everybody, and what arrives is counted.
    with running(found_kafka, tmp_path / "kafka") as kafka:
        goes_through(tmp_path, "kafka", "consumer", PROVTEL_KAFKA_BROKERS=f"[{kafka.address}]")


def test_workflow_reaches_the_store_through_redis(redis: Redis, tmp_path: Path) -> None:
    """What a program records on one side of Redis is found in a store on the other, and Redis is empty again."""
    goes_through(tmp_path, "redis", "redis_consumer", PROVTEL_REDIS_ENDPOINT=redis.address)

    assert redis.look("XPENDING", "otlp_spans", "provtel").split() == ["0"]


def accepted(place: Place, metrics: str) -> dict[str, int]:
    """Return how much a collector took, by its ledger."""
    (ledger,) = place.objects("status", "--collector", metrics)
    return {row["signal"]: row["accepted"] for row in ledger["received"]}


def goes_through(tmp_path: Path, front: str, behind: str, **queue: str) -> None:
    """Let a program record through two presets and what is between them, and look into the store."""
    (tmp_path / "program").mkdir()
    (tmp_path / "store").mkdir()
    program, store = Place(tmp_path / "program"), Place(tmp_path / "store")
    (program.folder / "program.py").write_text(PROGRAM)
    endpoint, sent, taken = free_address(), free_address(), free_address()

    with (
        collecting(program, front, sent, PROVTEL_COLLECTOR_ENDPOINT=endpoint, **queue) as before,
        collecting(store, behind, taken, **queue) as after,
    ):
        program.run("program.py", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{endpoint}")
        assert program.journals() == []
        store.store.mkdir(exist_ok=True)
        wait(lambda: len(store.objects("tasks", "--all", "--limit", "0")) >= TASKS, "all tasks")
        (ledger,) = program.objects("status", "--collector", sent)
        assert {row["underway"] for row in ledger["exporters"]} == {0}
        arrived = {row["signal"]: row["accepted"] for row in ledger["received"]}
        wait(lambda: accepted(store, taken) == arrived, "everything behind the queue")
        before.terminate()
        after.terminate()
        assert (before.wait(SECONDS), after.wait(SECONDS)) == (0, 0)

    tasks = store.objects("tasks", "--all", "--limit", "0")
    assert len({task["id"] for task in tasks}) == len(tasks) == TASKS
    assert {task["status"] for task in tasks} == {"finished"}
    (workflow,) = store.objects("workflows")
    assert {task["workflow_id"] for task in tasks} == {workflow["id"]}
