"""The sampler: what it measures is what was done, it runs only where it is asked for, and it harms nothing."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from provtel.settings import SAMPLED
from provtel.telemetry.machine_lock import MachineLock
from provtel_model.components import Batch, Signal
from provtel_model.journal import drain_journal, find_journals
from provtel_model.otlp.observations import decode_points

from tests.instrumentation.otlp_server import OtlpServer, serving
from tests.instrumentation.programs import Stage

linux = pytest.mark.skipif(sys.platform != "linux", reason="the figures are those of Linux")
MB = 10**6
REGISTRY: list[dict[str, Any]] = yaml.safe_load((files("provtel_model") / "metrics.yaml").read_text())
BY_NAME = {entry["name"]: entry for entry in REGISTRY}
WAIT = """
    import os, sys, time
    from provtel import task

    @task
    def wait(seconds): time.sleep(seconds)

    wait(float(sys.argv[1]) if len(sys.argv) > 1 else 0.35)
    """

# Besides the list of distributions, and start and end of the task, each frame is a sample.
SAMPLED_ONCE = """
    from provtel.recording import recorder
    while recorder()._writer.appended < 4:
        time.sleep(0.01)
    """
SAMPLED_OFTEN = SAMPLED_ONCE.replace("< 4", "< 8")


@pytest.fixture
def server() -> Iterator[OtlpServer]:
    """Give a server that takes OTLP."""
    with serving() as running:
        yield running


def points_of(stage: Stage) -> list[Any]:
    """Drain every journal and return the data points that were in them, in order of their times."""
    batches: list[Batch] = []
    for journal in find_journals(stage.store):
        drain_journal(journal, batches.append)
    return sorted((point for batch in batches for point in decode_points(batch)), key=lambda point: point["time"])


def series(points: list[Any]) -> dict[tuple[str, str], list[Any]]:
    """Return values by metric and attributes, in order of time."""
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for point in points:
        found[point["name"], json.dumps(point.get("attributes", {}), sort_keys=True)].append(point["value"])
    return found


def test_nothing_is_sampled_unasked(stage: Stage) -> None:
    """Without the setting there is neither a thread nor a data point, and psutil is not loaded."""
    outcome = stage.run(
        WAIT
        + """
    import threading
    print([thread.name for thread in threading.enumerate()], "psutil" in sys.modules)
    """
    )

    assert outcome.stdout == "['MainThread'] False\n"
    assert points_of(stage) == []


@linux
def test_every_metric_is_as_the_registry_says(stage: Stage) -> None:
    """Names, units, instruments and attributes are the registered ones, and every one of a process is there."""
    stage.environment |= {"PROVTEL_SAMPLER": "100ms", "PROVTEL_SAMPLER_GROUPS": f"{','.join(SAMPLED)},per_cpu"}
    stage.run(WAIT + SAMPLED_OFTEN)
    points = points_of(stage)

    for point in points:
        entry = BY_NAME[point["name"]]
        kind = "gauge" if entry["instrument"] == "gauge" else "sum"
        assert (point["unit"], point["kind"]) == (entry["unit"], kind), point
        assert point.get("monotonic", False) is (entry["instrument"] == "counter")
        assert point.get("attributes", {}).keys() <= {*entry["attributes"], "cpu.logical_number"}
        assert ("started_at" in point) is (kind == "sum")
        assert (point["scope"]["name"], point["host"]) == ("provtel", os.uname().nodename)
    expected = {entry["name"] for entry in REGISTRY if entry["group"] != "gpu"}
    # A container may have no frequency, no swap and no disk of its own.
    optional = {name for name in expected if name.startswith(("system.cpu.frequency", "system.paging.utilization"))}
    optional |= {name for name in expected if name.startswith(("system.disk", "system.filesystem"))}
    assert {point["name"] for point in points} >= expected - optional
    numbers = {point["attributes"]["cpu.logical_number"] for point in points if "cpu.logical_number" in str(point)}
    assert numbers == set(range(psutil.cpu_count() or 1))


@linux
def test_figures_are_right(stage: Stage) -> None:
    """CPU, memory, files, threads and I/O of a process are what it did; the parts of the machine add up to it."""
    stage.environment |= {"PROVTEL_SAMPLER": "100ms"}
    stage.run(
        WAIT
        + """
    import socket, threading
    files = [open(__file__) for _ in range(20)]
    sockets = [socket.socket() for _ in range(5)]
    for _ in range(7):
        threading.Thread(target=time.sleep, args=(0.5,), daemon=True).start()
    ballast = b"x" * 200_000_000
    wait(0.3)
    for each in (*files, *sockets):
        each.close()
    """
    )
    found = {name: values for (name, attributes), values in series(points_of(stage)).items() if attributes == "{}"}

    assert max(found["process.memory.usage"]) - min(found["process.memory.usage"]) == pytest.approx(200 * MB, rel=0.1)
    assert max(found["process.unix.file_descriptor.count"]) - found["process.unix.file_descriptor.count"][0] >= 25
    assert max(found["provtel.process.socket.count"]) == 5
    assert max(found["provtel.process.file.count"]) >= 20
    assert max(found["process.thread.count"]) - found["process.thread.count"][0] == 7
    assert found["system.cpu.logical.count"][-1] == psutil.cpu_count()
    assert found["system.memory.limit"][-1] == psutil.virtual_memory().total
    assert all(0 < seconds < 60 for seconds in found["process.uptime"])


@linux
def test_parts_add_up(stage: Stage) -> None:
    """States of memory add up to its limit and modes of CPU to one; CPU time of the process is what it spent."""
    stage.environment |= {"PROVTEL_SAMPLER": "100ms"}
    stage.run(
        WAIT
        + """
    begun = time.process_time()
    while time.process_time() < begun + 0.5:
        pass
    """
    )
    found = series(points_of(stage))

    def totals(name: str) -> list[float]:
        return [sum(values) for values in zip(*(v for (known, _), v in found.items() if known == name), strict=True)]

    limit = found["system.memory.limit", "{}"]
    assert totals("system.memory.usage") == limit
    shares = totals("system.cpu.utilization")
    assert shares == pytest.approx([1.0] * len(shares))
    assert len(shares) > 1
    spent = totals("process.cpu.time")
    assert spent == sorted(spent)
    assert spent[-1] - spent[0] == pytest.approx(0.5, abs=0.35)
    assert all(0 <= share <= 1.1 for share in totals("process.cpu.utilization"))


def test_samples_come_at_the_period_and_once_at_the_end(stage: Stage) -> None:
    """There is a sample at the start, one each period, and a last one when the program ends, however short it is."""
    stage.environment |= {"PROVTEL_SAMPLER": "30s", "PROVTEL_SAMPLER_GROUPS": "process"}
    stage.run(WAIT + SAMPLED_ONCE, "0")
    times = {point["time"] for point in points_of(stage)}

    assert len(times) == 2


@pytest.mark.parametrize("group", [*SAMPLED, "per_cpu"])
def test_each_group_alone(stage: Stage, group: str) -> None:
    """A group brings its own metrics and no other's."""
    stage.environment |= {"PROVTEL_SAMPLER": "10s", "PROVTEL_SAMPLER_GROUPS": group}
    stage.run(WAIT, "0")
    groups = {BY_NAME[point["name"]]["group"] for point in points_of(stage)}

    assert groups <= {group.removeprefix("per_")}
    assert groups or group in {"gpu", "disk"}  # a machine may have neither


@pytest.mark.parametrize(
    ("variable", "text", "reason"),
    [
        ("PROVTEL_SAMPLER", "soon", "PROVTEL_SAMPLER"),
        ("PROVTEL_SAMPLER", "1ms", "write 100ms or more, or off"),
        ("PROVTEL_SAMPLER_GROUPS", "process,discs", "write some of process, cpu"),
    ],
)
def test_mistakes_are_said(stage: Stage, variable: str, text: str, reason: str) -> None:
    """A setting that cannot be understood is named with what may be written, and the program goes on."""
    stage.environment[variable] = text
    outcome = stage.run(WAIT, "0", quiet=False)

    assert reason in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1


def test_without_psutil(stage: Stage) -> None:
    """Where psutil is not installed, one line says what to install, and tasks are recorded."""
    stage.environment |= {"PROVTEL_SAMPLER": "1s"}
    program = """
        import sys
        sys.modules["psutil"] = None
        from provtel import task
        task(lambda: None)()
        """
    outcome = stage.run(program, quiet=False)

    assert outcome.stderr == (
        "provtel: process and machine are not sampled: that needs psutil; pip install 'provtel[telemetry]'\n"
    )
    assert len(stage.records()) == 1


@linux
def test_one_process_measures_the_machine(stage: Stage) -> None:
    """Of processes that record at once each measures itself, and one the machine; when that ends another one does."""
    stage.environment |= {"PROVTEL_SAMPLER": "100ms", "PROVTEL_SAMPLER_GROUPS": "process,memory"}
    stage.run("""
        import os, time
        from provtel import task

        @task
        def wait(seconds): time.sleep(seconds)

        children = []
        for seconds in (0.5, 1.5):
            if (child := os.fork()) == 0:
                wait(seconds)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        """)
    points = points_of(stage)
    of_machine = [point for point in points if point["name"] == "system.memory.limit"]
    pids = [point["pid"] for point in of_machine]

    assert len({point["pid"] for point in points if point["name"] == "process.uptime"}) == 2
    assert len({(point["time"] // 10**7) for point in of_machine}) >= len(of_machine) - 1
    assert 1 <= len(set(pids)) <= 2
    assert pids == sorted(pids, key=pids.index)  # one after the other


def test_lock_goes_with_its_process(tmp_path: Path) -> None:
    """A lock that is held is nobody else's until it is let go, also where the program closed its descriptor."""
    first, second = MachineLock(tmp_path), MachineLock(tmp_path)

    assert first.is_mine()
    assert first.is_mine()
    assert not second.is_mine()
    os.dup2(os.open(os.devnull, os.O_RDONLY), first._number)  # the program closed it, and was given its number
    assert second.is_mine()
    assert not first.is_mine()
    second.let_go()
    assert first.is_mine()
    first.let_go()
    assert not MachineLock(tmp_path / "nowhere").is_mine()


def test_forked_child_samples_itself(stage: Stage) -> None:
    """A child that records has a sampler of its own, and what it measures bears its pid."""
    stage.environment |= {"PROVTEL_SAMPLER": "100ms", "PROVTEL_SAMPLER_GROUPS": "process"}
    stage.run(
        WAIT
        + """
    child = os.fork()
    wait(0.3)
    if child:
        os.waitpid(child, 0)
    """
    )

    assert len({point["pid"] for point in points_of(stage)}) == 2


def test_pool_of_processes_samples_to_its_end(stage: Stage) -> None:
    """A worker of multiprocessing, which leaves without the usual goodbye, brings a last sample."""
    stage.environment |= {"PROVTEL_SAMPLER": "30s", "PROVTEL_SAMPLER_GROUPS": "process"}
    stage.run("""
        import multiprocessing, time
        from provtel import task

        @task
        def work():
            from provtel.recording import recorder
            while recorder()._writer.appended < 3:
                time.sleep(0.01)

        if __name__ == "__main__":
            process = multiprocessing.get_context("fork").Process(target=work)
            process.start()
            process.join()
        """)
    points = points_of(stage)

    assert len({point["time"] for point in points if point["name"] == "process.uptime"}) == 2


def test_metrics_are_shipped(stage: Stage, server: OtlpServer) -> None:
    """With an endpoint the data points go to where OTLP has metrics, and nothing of the journal stays."""
    stage.environment |= {
        "PROVTEL_SAMPLER": "100ms",
        "PROVTEL_SAMPLER_GROUPS": "process",
        "PROVTEL_ENDPOINT": server.endpoint,
    }
    stage.run(WAIT)

    assert {point["name"] for point in server.points} >= {"process.cpu.time", "process.memory.usage"}
    assert find_journals(stage.store) == []


def test_endpoint_without_metrics_gets_the_tasks(stage: Stage, server: OtlpServer) -> None:
    """Where metrics are refused the spans arrive all the same, one line says so, and the journal is done with."""
    server.answer = lambda signal: (404 if signal is Signal.METRICS else 200, {}, b"")
    stage.environment |= {
        "PROVTEL_SAMPLER": "100ms",
        "PROVTEL_SAMPLER_GROUPS": "process",
        "PROVTEL_ENDPOINT": server.endpoint,
    }
    outcome = stage.run(WAIT, quiet=False)

    assert outcome.stderr.startswith("provtel: metrics are dropped: ")
    assert len(outcome.stderr.splitlines()) == 1
    assert [record.name for record in server.records if record.ended_at] == ["wait"]
    assert find_journals(stage.store) == []


def test_killed_process_keeps_its_samples(stage: Stage) -> None:
    """What was sampled before SIGKILL is in the journal."""
    stage.environment |= {"PROVTEL_SAMPLER": "100ms", "PROVTEL_SAMPLER_GROUPS": "process"}
    with stage.start(WAIT, "60") as process:
        deadline = time.monotonic() + 30
        while not any(journal.stat() for journal in find_journals(stage.store)) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.kill()
    points = points_of(stage)

    assert len({point["time"] for point in points}) >= 2
