"""Programs that a program starts."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context
from provtel import testing, workflow
from provtel.instrumentors.command_lines import kept, program_of, words_of
from provtel.instrumentors.environments import taking_along
from provtel.instrumentors.subprocess import SubprocessInstrumentor
from provtel.redaction import Redaction
from provtel_model.record import Record

from tests.instrumentation.programs import Stage

SHOW = "import os, sys; sys.stdout.write(repr(sorted(os.environ.items())))"


@pytest.fixture
def instrumented() -> Iterator[None]:
    """Record programs for one test."""
    SubprocessInstrumentor().instrument()
    yield
    SubprocessInstrumentor().uninstrument()


def outcome(record: Record) -> tuple[str, object, object]:
    """Return how a program ended."""
    return record.status.value, record.attributes["process.exit.code"], record.attributes.get("provtel.exit.signal")


@pytest.mark.usefixtures("instrumented")
def test_ends() -> None:
    """Each way to run a program gives a task with its words and how it ended, and returns what it returned before."""
    with testing.capture() as captured, workflow("top") as top:
        assert subprocess.run(["echo", "hi"], capture_output=True, text=True, check=True).stdout == "hi\n"
        assert subprocess.call("exit 3", shell=True) == 3  # noqa: S602  # a shell is what is tested
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.check_call(["false"])
        with subprocess.Popen(["sleep", "60"], cwd="/") as process:
            assert process.poll() is None
            process.terminate()
        assert process.returncode == -signal.SIGTERM
        with os.popen("echo x") as pipe:  # noqa: S605  # as above
            assert pipe.read() == "x\n"

    programs = captured.records[1:]
    assert [record.name for record in programs] == ["echo", "exit", "false", "sleep", "echo"]
    assert {record.parent_id for record in programs} == {top.id}
    assert [outcome(record) for record in programs] == [
        ("finished", 0, None),
        ("error", 3, None),
        ("error", 1, None),
        ("error", 143, "SIGTERM"),
        ("finished", 0, None),
    ]
    assert programs[0].attributes["process.command_args"] == ["echo", "hi"]
    assert programs[3].attributes["process.working_directory"] == "/"
    assert programs[3].attributes["process.pid"] == process.pid
    assert {record.attributes["workflow.task.subtype"] for record in programs} == {"process"}


@pytest.mark.usefixtures("instrumented")
def test_what_cannot_be_started() -> None:
    """A program that is not there is an error, and the exception is the one of before; wrong calls are none."""
    with testing.capture() as captured:
        with pytest.raises(FileNotFoundError):
            subprocess.run(["/no/such/program"], check=False)
        with pytest.raises(TypeError):
            subprocess.Popen(["true"], no_such_word=1)  # type: ignore[call-overload]  # what is tested
        with pytest.raises(TypeError):
            subprocess.Popen([3])  # type: ignore[list-item]  # as above

    assert [(record.name, record.status.value) for record in captured.records] == [("program", "error")]
    assert captured.records[0].plain["error"]["type"] == "FileNotFoundError"


@pytest.mark.usefixtures("instrumented")
def test_subprocess_of_an_event_loop() -> None:
    """A program that asyncio starts is recorded too, with how it ended."""

    async def main() -> int | None:
        process = await asyncio.create_subprocess_exec("sh", "-c", "exit 4")
        return await process.wait()

    with testing.capture() as captured:
        assert asyncio.run(main()) == 4

    assert [outcome(record) for record in captured.records] == [("error", 4, None)]


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("env", [None, {}, {"A": "1"}, {b"A": b"1"}], ids=["none", "empty", "texts", "bytes"])
def test_environment(env: Mapping[str, str] | None) -> None:
    """A program gets the environment that the user gave, unchanged, and in it what is current."""
    before = None if env is None else dict(env)
    old = dict(os.environ)
    with testing.capture() as captured:
        context.attach(baggage.set_baggage("user", "ada"))
        shown = subprocess.run([sys.executable, "-c", SHOW], env=env, capture_output=True, check=True).stdout
    got = dict(eval(shown))  # noqa: S307  # what the line above wrote
    got.pop("LC_CTYPE", None)  # Python's own
    record = captured.records[0]

    assert (env, dict(os.environ)) == (before, old)
    assert got.pop("TRACEPARENT") == f"00-{record.trace_id}-{record.span_id}-01"
    assert "user=ada" in got.pop("BAGGAGE")
    wanted = old if env is None else {os.fsdecode(name): os.fsdecode(value) for name, value in env.items()}
    assert got == {name: value for name, value in wanted.items() if name not in {"LC_CTYPE", "TRACEPARENT", "BAGGAGE"}}


def test_context_of_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A context that the user puts into an environment stays; the one that the process was started in does not."""
    inherited, own = f"00-{'1' * 32}-{'2' * 16}-01", f"00-{'3' * 32}-{'4' * 16}-01"
    monkeypatch.setenv("TRACEPARENT", inherited)
    with testing.capture(), workflow("top"):
        here = context.get_current()
        mine = {"TRACEPARENT": own}
        assert taking_along(mine, here) is mine
        new = taking_along({"TRACEPARENT": inherited, "A": "1"}, here)

    assert new is not None
    assert new["TRACEPARENT"] not in {inherited, own}
    assert new["A"] == "1"


def test_child_joins(stage: Stage) -> None:
    """What a program in Python records is a child of the task that the program is, in the same run."""
    stage.run(
        """
        import subprocess, sys
        from provtel import workflow
        from provtel.instrumentors.subprocess import SubprocessInstrumentor
        SubprocessInstrumentor().instrument()
        with workflow("top", campaign="c"):
            subprocess.run([sys.executable, "-c", "from provtel import task\\nwith task('child'): pass"], check=True)
        """
    )
    top, program, child = stage.records()

    assert [program.parent_id, child.parent_id] == [top.id, program.id]
    assert (child.workflow_id, child.campaign_id) == (top.id, "c")
    assert child.pid == program.attributes["process.pid"] != top.pid


def test_never_waited_for(stage: Stage) -> None:
    """A program that nobody waits for has its end when this process exits after it, and is lost when it runs on."""
    stage.run(
        """
        import subprocess, sys, time, warnings
        from provtel.instrumentors.subprocess import SubprocessInstrumentor
        SubprocessInstrumentor().instrument()
        warnings.simplefilter("ignore")
        short = subprocess.Popen(["sh", "-c", "exit 5"], stdout=subprocess.PIPE)
        short.stdout.read()
        long = subprocess.Popen(["sleep", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.2)
        """
    )
    short, long = stage.records()

    assert outcome(short) == ("error", 5, None)
    assert long.status.value == "lost"


def test_secrets_are_not_kept() -> None:
    """Secrets in the words of a command, alone or in a line for the shell, are not kept; all else is."""
    redaction = Redaction()
    line = "TOKEN=abc curl --password 'a b' -v https://u:p@host/x | tee \"out file\""

    assert kept(words_of(line), redaction) == [
        "TOKEN=[REDACTED]",
        "curl",
        "--password",
        "[REDACTED]",
        "-v",
        "https://u:[REDACTED]@host/x",
        "|",
        "tee",
        '"out file"',
    ]
    assert program_of(words_of(line)) == "curl"
    assert kept(words_of([b"x", "--api-key=1"]), redaction) == ["x", "--api-key=[REDACTED]"]
    assert len(kept(["x"] * 1000, redaction)) == 51


@given(st.text())
def test_any_line_has_words(line: str) -> None:
    """The words of any line for the shell hold all of it but the space between them."""
    words = words_of(line)

    assert "".join("".join(words).split()) == "".join(line.encode("utf-8", "replace").decode().split())
    assert program_of(words)


def test_uninstrument_restores_everything() -> None:
    """Afterwards the class is as it was, and processes from in between keep their return code."""
    before = dict(vars(subprocess.Popen))
    SubprocessInstrumentor().instrument()
    with testing.capture():
        process = subprocess.Popen(["true"])
        assert not hasattr(subprocess.Popen, "returncode")
        SubprocessInstrumentor().uninstrument()
        assert process.wait() == process.returncode == 0

    assert dict(vars(subprocess.Popen)) == before
    assert vars(subprocess.Popen)["__init__"] is before["__init__"]
