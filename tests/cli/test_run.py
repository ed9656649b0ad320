"""`provtel run`: a command runs as it would alone, and is recorded with all that it starts."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from provtel.command.recorded import name_of
from provtel_query import connect

from tests.cli.conftest import Ask

PROVTEL = str(Path(sys.executable).with_name("provtel"))
SECONDS = 60


def provtel_run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `provtel run` to its end."""
    return subprocess.run(
        [PROVTEL, "run", *arguments], capture_output=True, text=True, check=False, timeout=SECONDS, **options
    )


def records(folder: Path) -> dict[str, Any]:
    """Return the records of a folder's store by name."""
    with connect(folder / ".provtel") as store:
        return {record.name: record for record in store.records()}


def wait_for(done: Callable[[], bool]) -> None:
    """Return when something holds."""
    give_up_at = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_is_recorded(folder: Path) -> None:
    """A command is a workflow with its arguments, its files by their content, its exit code, its cost."""
    (folder / "in.txt").write_text("data")
    options = ("--name", "copy", "--campaign", "paper", "--tag", "a", "--tag", "b", "--used", "in.txt")
    script = "head -c 3000000 /dev/urandom | sha256sum >/dev/null; cp in.txt out.csv; exit 3"
    done = provtel_run(*options, "--generated", "result=out.csv", "sh", "-c", script, "--password", "hunter2")

    assert done.returncode == 3
    record = records(folder)["copy"]
    digest = "sha256:" + hashlib.sha256(b"data").hexdigest()
    assert (record.kind, record.status, record.campaign_id, record.tags) == ("workflow", "error", "paper", ("a", "b"))
    assert (record.used["in"].hash, record.generated["result"].hash) == (digest, digest)
    assert record.attributes["process.command_args"][1:] == ["-c", script, "--password", "[REDACTED]"]
    assert record.attributes["process.exit.code"] == 3
    assert record.error is not None
    assert (record.error.type, record.error.message) == ("3", "it exited with code 3")
    assert record.telemetry["cpu.user"] + record.telemetry["cpu.system"] > 0
    assert record.telemetry["memory.rss.peak"] > 2**19
    assert record.telemetry["context_switches"] > 0
    assert not [*(folder / ".provtel" / "journal").iterdir()]


def test_peak_of_memory(folder: Path) -> None:
    """The peak of a command is its own; where that is below the one that it began with, the figure says so."""
    provtel_run("--name", "small", "true")
    provtel_run("--name", "large", sys.executable, "-I", "-c", "b'x' * 200_000_000")
    found = records(folder)

    assert found["small"].telemetry["memory.scope"] == "process"
    assert "memory.scope" not in found["large"].telemetry
    assert found["large"].telemetry["memory.rss.peak"] == pytest.approx(200_000_000, rel=0.1)


def test_passes_through(folder: Path) -> None:
    """Standard input, output, error, open descriptors and the working folder are the command's own."""
    reading, writing = os.pipe()
    os.write(writing, b"from a pipe")
    os.close(writing)
    done = provtel_run(
        "sh",
        "-c",
        f"cat; cat /dev/fd/{reading}; pwd; echo wrong >&2",
        input="from stdin, ",
        pass_fds=[reading],
        cwd=folder,
    )
    os.close(reading)

    assert (done.stdout, done.stderr) == (f"from stdin, from a pipe{folder}\n", "wrong\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no-such-command"], 127, "the command no-such-command is not found: no folder of PATH has it"),
        (["./no-such-file"], 127, "the command ./no-such-file is not found: there is no such file"),
        (["./plain"], 126, "plain may not be executed"),
        (["./folder"], 126, "./folder is a folder"),
        (["--used", "nope.csv", "true"], 2, "nope.csv: there is no such file"),
        (["--generated", "a=x", "--generated", "a=y", "true"], 2, "x and y have the same role 'a'"),
        (["--no-such-option", "true"], 2, "No such option"),
        ([], 2, "Missing argument 'COMMAND...'"),
    ],
)
def test_mistakes_are_told(folder: Path, arguments: list[str], code: int, message: str) -> None:
    """What cannot be run is told in one line, by the exit code that shells have for it, and nothing is recorded."""
    (folder / "plain").write_text("")
    (folder / "folder").mkdir()
    done = provtel_run(*arguments)

    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert records(folder) == {}


def test_script_without_interpreter(folder: Path) -> None:
    """A script that does not say what runs it is run by the shell, as shells do."""
    script = folder / "script"
    script.write_text("echo $0 $1\n")
    script.chmod(0o755)

    assert provtel_run("./script", "x").stdout == "./script x\n"


def test_options_of_the_command(folder: Path) -> None:
    """What comes behind the command's first word is the command's, and so is what comes behind two dashes."""
    assert provtel_run("echo", "--name", "x").stdout == "--name x\n"
    assert provtel_run("--", "echo", "-n").stdout == ""
    assert set(records(folder)) == {"echo"}


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["/bin/true"], "true"),
        (["python3"], "python3"),
        (["python3", "-c", "pass"], "python3"),
        (["python", "-u", "-W", "ignore", "a/job.py", "-m"], "job"),
        (["/usr/bin/python3.12", "-Xdev", "-m", "json.tool", "--help"], "json.tool"),
        (["python", "-Sm", "json.tool"], "json.tool"),
        (["python", "-"], "python"),
    ],
)
def test_name(command: list[str], name: str) -> None:
    """A command is called by its program, a Python by what it runs."""
    assert name_of(tuple(command)) == name


def test_python_is_instrumented(folder: Path) -> None:
    """Spans of any OpenTelemetry tracer and tasks of pools in a Python that it starts are in its run, unasked."""
    (folder / "job.py").write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from opentelemetry import trace\n"
        "def work(): pass\n"
        "with trace.get_tracer('library').start_as_current_span('span'), ThreadPoolExecutor() as pool:\n"
        "    pool.submit(work).result()\n"
    )
    done = provtel_run("sh", "-c", f"cd / && {sys.executable} {folder}/job.py")

    assert (done.returncode, done.stderr) == (0, "")
    found = records(folder)
    assert found["span"].parent_id == found["sh"].id
    assert found["work"].parent_id == found["span"].id
    assert {record.workflow_id for record in found.values()} == {found["sh"].id}


def test_sitecustomize_stays(folder: Path) -> None:
    """A sitecustomize of the user is loaded as ever; where it fails, Python says so and instruments all the same."""
    site = folder / "site"
    site.mkdir()
    custom = site / "sitecustomize.py"
    custom.write_text("import builtins; builtins.mine = __name__, __file__\n")
    environment = {**os.environ, "PYTHONPATH": str(site)}
    program = "import sys; print(mine, 'provtel.otel' in sys.modules)"
    done = provtel_run(sys.executable, "-c", program, env=environment)
    custom.write_text("raise ValueError('mine')\n")
    failed = provtel_run(sys.executable, "-c", "import sys; print('provtel.otel' in sys.modules)", env=environment)

    assert (done.stdout, done.stderr) == (f"('sitecustomize', '{custom}') True\n", "")
    assert failed.stdout == "True\n"
    assert "ValueError: mine" in failed.stderr


def test_run_in_a_run(folder: Path) -> None:
    """Commands that a recorded command runs by `provtel run` are its tasks, and files lead from one to the other."""
    first = f"{PROVTEL} run --name first --generated a.txt sh -c 'echo 1 >a.txt'"
    second = f"{PROVTEL} run --name second --used a.txt true"
    provtel_run("--name", "pipeline", "--campaign", "c", "sh", "-c", f"{first}; {second}")

    found = records(folder)
    for name in ("first", "second"):
        assert (found[name].kind, found[name].parent_id) == ("task", found["pipeline"].id)
        assert (found[name].workflow_name, found[name].campaign_id) == ("pipeline", "c")
    assert found["first"].generated["a"].hash == found["second"].used["a"].hash


def test_disabled(folder: Path) -> None:
    """With capture switched off the command runs, and nothing is recorded."""
    done = provtel_run("sh", "-c", "exit 4", env={**os.environ, "PROVTEL_DISABLED": "true"})

    assert (done.returncode, done.stderr) == (4, "")
    assert records(folder) == {}


def test_no_store(folder: Path) -> None:
    """Where nothing can be recorded the command runs all the same, and one line says what was wrong."""
    (folder / "file").write_text("")
    done = provtel_run("sh", "-c", "exit 4", env={**os.environ, "PROVTEL_STORE": str(folder / "file")})

    assert done.returncode == 4
    assert "provtel: nothing is recorded:" in done.stderr
    assert "Traceback" not in done.stderr


def test_killed(folder: Path) -> None:
    """When `provtel run` itself is killed, its activity is lost, and what the command finished is there."""
    (folder / "job.py").write_text(
        "import time\nfrom provtel import task\nwith task('done'): pass\nopen('up', 'w').close()\ntime.sleep(600)\n"
    )
    process = subprocess.Popen([PROVTEL, "run", sys.executable, "job.py"], start_new_session=True)
    wait_for((folder / "up").exists)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    os.killpg(process.pid, signal.SIGKILL)

    def states() -> dict[str, str]:
        return {name: str(record.status) for name, record in records(folder).items()}

    wait_for(lambda: states() == {"job": "lost", "done": "finished"})


def test_help_and_completion(ask: Ask) -> None:
    """The help shows how it is used; Tab completes programs first, then files."""
    assert "Usage: provtel run [OPTIONS] COMMAND..." in ask("run", "--help").out
    environment = {**os.environ, "_PROVTEL_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
    before = {**environment, "COMP_WORDS": "provtel run sha256s"}
    first = subprocess.run([PROVTEL], env=before, capture_output=True, check=True)
    then = {**environment, "COMP_WORDS": "provtel run cat i", "COMP_CWORD": "3"}
    second = subprocess.run([PROVTEL], env=then, capture_output=True, check=True)

    assert "plain,sha256sum" in first.stdout.decode().splitlines()
    assert second.stdout.decode().splitlines() == ["file,i"]


def test_json_is_one_object(folder: Path) -> None:
    """What programs get of it can be read as JSON."""
    provtel_run("true")
    done = subprocess.run([PROVTEL, "workflows", "--json"], capture_output=True, text=True, check=True, cwd=folder)

    assert json.loads(done.stdout)["attributes"]["process.exit.code"] == 0
