"""The shipper: from the journal to a real HTTP server, through outages, refusals and every end of a process."""

from __future__ import annotations

import random
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from provtel.sender import RefusedError, Sender
from provtel_model.components import Batch, Signal
from provtel_model.errors import PermanentError, RetryableError
from provtel_model.journal import find_journals
from provtel_model.otlp import check

from tests.collector.certificates import Authority
from tests.instrumentation.otlp_server import OtlpServer, serving
from tests.instrumentation.programs import Stage

PROGRAM = """
from provtel import task, workflow

@task
def step(x):
    return 2 * x

@workflow
def main():
    return sum(step(x) for x in range(100))

print(main())
"""
EMPTY = check(Signal.TRACES, b"")


@pytest.fixture
def server() -> Iterator[OtlpServer]:
    """Give a server that takes everything."""
    with serving() as running:
        yield running


@pytest.fixture
def shipping(stage: Stage, server: OtlpServer) -> Stage:
    """Give a stage whose programs ship to the server."""
    stage.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.endpoint
    return stage


def test_everything_arrives_and_nothing_stays(shipping: Stage, server: OtlpServer) -> None:
    """What ran is at the endpoint when the process has ended, which is soon, and no journal is left."""
    shipping.environment["PROVTEL_EXIT_TIMEOUT"] = "60s"
    began = time.monotonic()
    shipping.run(PROGRAM)

    assert time.monotonic() - began < 30
    assert sorted(record.used["x"] for record in server.records if record.name == "step") == list(range(100))
    assert {(record.status.value, record.plain["scope"]["name"]) for record in server.records} == {
        ("finished", "provtel")
    }
    assert find_journals(shipping.store) == []


def test_own_variable_and_headers(stage: Stage, server: OtlpServer) -> None:
    """Our own variable comes first, a path in the address is kept, and given headers are sent."""
    stage.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
    stage.environment["PROVTEL_ENDPOINT"] = server.endpoint + "/"
    stage.environment["OTEL_EXPORTER_OTLP_HEADERS"] = "authorization=Bearer%20abc,x-team = physics"
    stage.run(PROGRAM)

    path, headers = server.requests[0]
    assert path == "/v1/traces"
    assert headers["authorization"] == "Bearer abc"
    assert headers["x-team"] == "physics"
    assert headers["Content-Type"] == "application/x-protobuf"


def test_variables_of_one_signal(stage: Stage, server: OtlpServer, tmp_path: Path) -> None:
    """Address, headers, compression and certificates of one signal come before those of all; TLS knows both sides."""
    authority = Authority(tmp_path)
    theirs, ours = authority.sign("server"), authority.sign("client")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    tls.load_cert_chain(theirs.certificate, theirs.key)
    tls.verify_mode = ssl.CERT_REQUIRED
    prefix = "OTEL_EXPORTER_OTLP_"
    stage.environment |= {
        f"{prefix}LOGS_ENDPOINT": f"{server.endpoint}/v1/logs",
        f"{prefix}HEADERS": "a=1",
        f"{prefix}TRACES_HEADERS": "b=2",
        f"{prefix}TRACES_COMPRESSION": "gzip",
        f"{prefix}TIMEOUT": "30",
        f"{prefix}CERTIFICATE": authority.file,
        f"{prefix}CLIENT_CERTIFICATE": ours.certificate,
        f"{prefix}CLIENT_KEY": ours.key,
    }
    with serving(tls=tls) as secure:
        stage.environment[f"{prefix}TRACES_ENDPOINT"] = f"{secure.endpoint}/v1/traces"
        stage.run(PROGRAM + "from provtel import logs; logs.emit('said')\n")
        traces = [*secure.requests]

    assert {path for path, _ in traces} == {"/v1/traces"}
    assert {path for path, _ in server.requests} == {"/v1/logs"}
    assert (traces[0][1]["Content-Encoding"], traces[0][1]["b"]) == ("gzip", "2")
    assert "Content-Encoding" not in server.requests[0][1]
    assert server.requests[0][1]["a"] == "1"
    assert find_journals(stage.store) == []


def test_variables_that_cannot_be_understood(stage: Stage, server: OtlpServer) -> None:
    """What cannot be understood is said, a line each, and the records come all the same."""
    stage.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "snappy",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
    }
    said = stage.run(PROGRAM, quiet=False).stderr.splitlines()

    assert [line.split()[1] for line in said] == [
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
    ]
    assert len(server.records) == 101


def test_without_an_endpoint_nothing_runs_in_the_background(stage: Stage) -> None:
    """With no endpoint there is no thread, and nothing that sends is even loaded."""
    outcome = stage.run(
        PROGRAM + "import sys, threading; print(threading.active_count(), 'provtel.shipper' in sys.modules,"
        " 'google.protobuf' in sys.modules)"
    )

    assert outcome.stdout.endswith("\n1 False False\n")


def test_running_tasks_are_told(shipping: Stage, server: OtlpServer) -> None:
    """A task that takes a while is at the endpoint as running before it ends, and as finished afterwards."""
    process = shipping.start(
        """
        from provtel import task
        with task("patient", used={"x": 1}):
            input()
        """
    )
    with process:
        server.wait_for(lambda records: [record.status.value for record in records] == ["running"])
        process.communicate("\n")

    assert [record.status.value for record in server.records] == ["running", "finished"]
    assert len({record.id for record in server.records}) == 1


def test_server_that_comes_late(stage: Stage, server: OtlpServer) -> None:
    """A program that began before its server runs delivers everything once the server is there."""
    port = server.port
    server.stop()
    stage.environment["PROVTEL_ENDPOINT"] = f"http://127.0.0.1:{port}"
    process = stage.start(PROGRAM + "input()")
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(1.5)
        with serving(port) as late:
            late.wait_for(lambda records: len(records) == 101)
            process.communicate("\n")

    assert process.returncode == 0
    assert len({record.id for record in late.records}) == 101


def test_server_that_is_away_for_longer_than_the_program(stage: Stage, server: OtlpServer) -> None:
    """What could not be sent stays, one line says how much and where, and the next program sends it."""
    stage.environment["PROVTEL_ENDPOINT"] = server.endpoint
    stage.environment["PROVTEL_EXIT_TIMEOUT"] = "300ms"
    port = server.port
    server.stop()

    outcome = stage.run(PROGRAM, quiet=False)
    (kept,) = find_journals(stage.store)
    # Its own time to end has to be enough for the next one, on a machine with much else to do too.
    stage.environment["PROVTEL_EXIT_TIMEOUT"] = "30s"
    with serving(port) as back:
        stage.run("from provtel import task\nwith task('next'): pass")

    assert outcome.stdout == "9900\n"
    assert outcome.stderr.count("\n") == 1
    assert outcome.stderr.startswith(
        f"provtel: 101 records of this process were not acknowledged by {stage.environment['PROVTEL_ENDPOINT']}"
    )
    assert str(kept) in outcome.stderr
    assert len(back.records) == 102
    assert len({record.id for record in back.records}) == 102
    assert find_journals(stage.store) == []


def test_attempts_draw_no_numbers(stage: Stage) -> None:
    """A seeded program draws the same numbers while the shipper waits for a server that is away."""
    stage.environment |= {"PROVTEL_ENDPOINT": "http://127.0.0.1:1", "PROVTEL_EXIT_TIMEOUT": "100ms"}
    program = """
        import random, time
        random.seed(42)
        from provtel import task
        task(lambda: 1)()
        time.sleep(2.5)
        print(random.random())
        """
    outcome = stage.run(program, quiet=False)

    assert float(outcome.stdout) == random.Random(42).random()  # noqa: S311  # what the program draws


def test_busy_server_is_asked_again(shipping: Stage, server: OtlpServer) -> None:
    """A server that is busy, restarting or limits its clients gets the records later, each once."""
    answers = iter([(503, {}, b"busy"), (429, {"Retry-After": "1"}, b""), (500, {}, b"")])
    server.answer = lambda _signal: next(answers, (200, {}, b""))

    shipping.run(PROGRAM)

    assert sorted(record.used["x"] for record in server.records if record.name == "step") == list(range(100))
    assert len(server.records) == 101


def test_records_that_are_refused_stay(shipping: Stage, server: OtlpServer) -> None:
    """What the endpoint will never take is kept, and a person is told why, once."""
    server.answer = lambda _signal: (401, {}, b"no token")
    shipping.environment["PROVTEL_EXIT_TIMEOUT"] = "1s"

    outcome = shipping.run(PROGRAM, quiet=False)

    assert "records stay in the journal" in outcome.stderr
    assert "answered 401" in outcome.stderr
    assert "no token" in outcome.stderr
    assert "101 records of this process were not acknowledged" in outcome.stderr
    assert len(shipping.records()) == 101


def test_endpoint_without_logs(shipping: Stage, server: OtlpServer) -> None:
    """An endpoint that takes spans only gets the spans; lost tasks stay in the journal, and a person is told."""
    server.answer = lambda signal_: (404, {}, b"") if signal_ is Signal.LOGS else (200, {}, b"")

    outcome = shipping.run(
        """
        import time
        from provtel import task, workflow
        run = workflow("open").start()
        with task("done"):
            pass
        time.sleep(1.5)
        with task("done later"):
            pass
        """,
        quiet=False,
    )

    assert sorted(record.name for record in server.records) == ["done", "done later"]
    assert outcome.stderr.count("running and lost activities stay in the journal") == 1
    assert [(record.name, record.status.value) for record in shipping.records()] == [("open", "lost")]


def test_what_is_open_at_the_end_is_lost(shipping: Stage, server: OtlpServer) -> None:
    """A process that ends without ending a workflow has lost it, and says so itself."""
    shipping.run("from provtel import workflow\nrun = workflow('open').start()")

    assert [(record.name, record.status.value) for record in server.records] == [("open", "lost")]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_ship_before_they_exit(shipping: Stage, server: OtlpServer, method: str) -> None:
    """What the workers of a pool did arrives, though multiprocessing ends them without their leave."""
    shipping.run(
        """
        import sys
        from multiprocessing import get_context
        from provtel import carry, task, workflow

        @task
        def step(x):
            return x

        if __name__ == "__main__":
            with workflow("pool"), get_context(sys.argv[1]).Pool(2) as pool:
                pool.map(carry(step), range(20))
                pool.close()
                pool.join()
        """,
        method,
        quiet=False,
    )

    assert sorted(record.used["x"] for record in server.records if record.name == "step") == list(range(20))
    assert {record.status.value for record in server.records if record.name == "step"} == {"finished"}
    assert find_journals(shipping.store) == []


def test_parent_ships_what_dead_children_left(shipping: Stage, server: OtlpServer) -> None:
    """A child that is killed leaves its journal to its parent."""
    shipping.run(
        """
        import os, signal
        from provtel import task

        @task
        def step(x):
            if x:
                os.kill(os.getpid(), signal.SIGKILL)

        with task("parent"):
            pid = os.fork()
            if pid == 0:
                step(0)
                step(1)
            os.waitpid(pid, 0)
        """
    )

    assert sorted((record.name, record.status.value) for record in server.records if record.status.rank >= 2) == [
        ("parent", "finished"),
        ("step", "finished"),
        ("step", "lost"),
    ]
    assert find_journals(shipping.store) == []


def test_killed_program_is_shipped_by_the_next(shipping: Stage, server: OtlpServer) -> None:
    """What a killed process left is sent by the next one, finished as finished and open as lost."""
    shipping.run(
        "import os\nfrom provtel import task\nwith task('a'): pass\nwith task('b'): os.kill(os.getpid(), 9)",
        code=-signal.SIGKILL,
    )
    shipping.run("from provtel import task\nwith task('c'): pass")

    states = {record.name: record.status.value for record in server.records}
    assert states == {"a": "finished", "b": "lost", "c": "finished"}


def test_partial_success_is_told(shipping: Stage, server: OtlpServer) -> None:
    """An endpoint that takes a request and rejects some of it is not believed to have taken all."""
    partial = ExportTracePartialSuccess(rejected_spans=3, error_message="too old")
    answer = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    server.answer = lambda _signal: (200, {}, answer)

    outcome = shipping.run(PROGRAM, quiet=False)

    assert outcome.stderr == f"provtel: {server.endpoint} rejected 3 records for good: too old\n"


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, PermanentError), (404, RefusedError), (408, RetryableError), (429, RetryableError), (503, RetryableError)],
)
def test_answers(server: OtlpServer, status: int, error: type[Exception]) -> None:
    """Each answer of a server is one of the two kinds of failure."""
    server.answer = lambda _signal: (status, {"Retry-After": "7"}, b"why")
    sender = Sender(server.endpoint)

    with pytest.raises(error, match=f"answered {status} .* to traces: why") as caught:
        sender.send(EMPTY)
    sender.close()

    assert type(caught.value) is error
    assert getattr(caught.value, "retry_after", 7.0) == 7.0


def test_connection_is_kept_and_renewed(server: OtlpServer) -> None:
    """One connection serves many batches; one that the server closed is opened again without a failure."""
    sender = Sender(server.endpoint)
    sender.send(EMPTY)
    (first,) = sender._connections.values()
    sender.send(EMPTY)
    assert [*sender._connections.values()] == [first]
    assert first is not None
    assert first.sock is not None
    first.sock.shutdown(2)

    sender.send(EMPTY)
    sender.close()

    assert len(server.requests) == 3


def test_nobody_there() -> None:
    """An address where nobody listens may be served later."""
    with pytest.raises(RetryableError, match=r"http://127.0.0.1:1 cannot be reached: .*refused"):
        Sender("http://127.0.0.1:1").send(Batch(Signal.LOGS, b"", 0))
