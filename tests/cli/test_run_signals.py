"""`provtel run` and signals: the command gets what it would get alone, once, and whoever waits sees how it ended."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from provtel_query import connect

PROVTEL = str(Path(sys.executable).with_name("provtel"))
SECONDS = 60
# It writes down each signal that it gets, and leaves when it is asked to.
COUNTING = """
trap 'echo TERM >>got' TERM
trap 'echo INT >>got' INT
trap 'echo USR1 >>got' USR1
trap 'echo HUP >>got' HUP
touch up
while [ ! -e leave ]; do sleep 0.05; done
exit 7
"""
# glibc keeps two behind them for itself.
STANDARD = 2**31 - 1
KEYS = {"INT": b"\x03", "TSTP": b"\x1a"}


def wait_for(done: Callable[[], Any]) -> None:
    """Return when something holds."""
    give_up_at = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def got(folder: Path) -> list[str]:
    """Return the signals that the command has got."""
    file = folder / "got"
    return file.read_text().split() if file.exists() else []


def settled(folder: Path) -> list[str]:
    """Return the signals that the command has got, when there are some and no more come."""
    wait_for(lambda: got(folder))
    time.sleep(0.3)
    return got(folder)


@contextlib.contextmanager
def started(folder: Path, *command: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run `provtel run` in a session of its own until the block ends; the command says that it is up."""
    process = subprocess.Popen([PROVTEL, "run", *command], start_new_session=True, cwd=folder, **options)
    try:
        wait_for((folder / "up").exists)
        yield process
        process.wait(SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def record(folder: Path) -> Any:
    """Return the one record of a folder's store."""
    with connect(folder / ".provtel") as store:
        (found,) = store.records()
    return found


def test_sent_to_the_parent(folder: Path) -> None:
    """What is sent to `provtel run` alone reaches the command, and the exit code is the command's."""
    with started(folder, "bash", "-c", COUNTING) as process:
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT):
            before = len(got(folder))
            process.send_signal(number)
            wait_for(lambda: len(got(folder)) > before)  # noqa: B023  # asked at once
        assert settled(folder) == ["TERM", "USR1", "HUP", "INT"]
        (folder / "leave").touch()

    assert process.returncode == 7


def test_sent_to_all(folder: Path) -> None:
    """What is sent to the group, or to each process of a job, reaches the command once."""
    with started(folder, "bash", "-c", COUNTING) as process:
        os.killpg(process.pid, signal.SIGTERM)
        assert settled(folder) == ["TERM"]
        os.killpg(process.pid, signal.SIGUSR1)
        wait_for(lambda: len(got(folder)) > 1)
        time.sleep(0.3)
        assert got(folder) == ["TERM", "USR1"]
        (folder / "leave").touch()

    assert process.returncode == 7


def test_sent_by_the_command(folder: Path) -> None:
    """A signal that the command sends to its whole group comes back to it once."""
    script = "trap 'echo TERM >>got' TERM; touch up; kill -TERM 0; sleep 0.5; exit 5"
    with started(folder, "bash", "-c", script) as process:
        pass

    assert (process.returncode, got(folder)) == (5, ["TERM"])


@pytest.mark.parametrize("name", ["TERM", "INT", "KILL", "SEGV"])
def test_ends_as_the_command(folder: Path, name: str) -> None:
    """Where a signal ends the command, it ends `provtel run` too, as whoever waits sees, and the record says which."""
    done = subprocess.run([PROVTEL, "run", "bash", "-c", f"kill -{name} $$"], cwd=folder, check=False)
    found = record(folder)

    number = signal.Signals[f"SIG{name}"]
    assert done.returncode == -number
    assert (found.attributes["provtel.exit.signal"], found.attributes["process.exit.code"]) == (
        number.name,
        128 + number,
    )
    assert (str(found.status), found.error.type) == ("error", number.name)


def test_ignored_stays_ignored(folder: Path) -> None:
    """What the caller ignores, as nohup does, the command ignores; what Python ignores for itself it does not."""
    script = f"trap '' HUP INT; exec {PROVTEL} run grep SigIgn /proc/self/status"
    alone = "trap '' HUP INT; exec grep SigIgn /proc/self/status"

    def ignored(text: str) -> int:
        done = subprocess.run(["bash", "-c", text], cwd=folder, capture_output=True, text=True, check=True)
        return int(done.stdout.split()[1], 16) & STANDARD

    assert ignored(script) == ignored(alone)


class Terminal:
    """A shell with job control on a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        """Start the shell."""
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])  # noqa: S606  # it is one
        self.seen = b""

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._terminal, text.encode() + b"\n")

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._terminal, key)

    def see(self, text: bytes) -> None:
        """Return when the terminal shows a text."""
        give_up_at = time.monotonic() + SECONDS
        while text not in self.seen:
            ready, _, _ = select.select([self._terminal], [], [], max(give_up_at - time.monotonic(), 0))
            assert ready, self.seen
            self.seen += os.read(self._terminal, 65536)
        self.seen = self.seen[self.seen.index(text) + len(text) :]

    def close(self) -> None:
        """Hang up."""
        os.kill(self.pid, signal.SIGKILL)
        os.close(self._terminal)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(folder: Path) -> Iterator[Terminal]:
    """Give a shell on a terminal."""
    found = Terminal(folder)
    yield found
    found.close()


def test_interrupt_from_the_terminal(terminal: Terminal, folder: Path) -> None:
    """Ctrl-C reaches the command once, and it may go on; on a terminal the command is on that terminal."""
    (folder / "count.sh").write_text(f"test -t 0 && test -t 1 || exit 1\n{COUNTING}")
    terminal.type(f"{PROVTEL} run bash count.sh; echo code=$?")
    wait_for((folder / "up").exists)
    terminal.press(KEYS["INT"])

    assert settled(folder) == ["INT"]
    (folder / "leave").touch()
    terminal.see(b"code=7")


def test_stop_and_go_on(terminal: Terminal, folder: Path) -> None:
    """Ctrl-Z stops the command, the shell takes the terminal back, and fg lets it go on and read from there."""
    terminal.type(f"{PROVTEL} run bash -c 'touch up; read -r line; echo \"<$line>\"; exit 3'; echo stopped=$?")
    wait_for((folder / "up").exists)
    terminal.press(KEYS["TSTP"])
    terminal.see(b"stopped=148")
    terminal.type("jobs")
    terminal.see(b"Stopped")
    terminal.type("fg; echo code=$?")
    terminal.see(b"provtel run")
    time.sleep(0.3)
    terminal.type("hello")
    terminal.see(b"<hello>")
    terminal.see(b"code=3")

    assert str(record(folder).status) == "error"


def test_pipeline(terminal: Terminal) -> None:
    """In the middle of a pipeline a command reads and writes as it would alone."""
    terminal.type(f"echo abc | {PROVTEL} run tr a-c x-z | cat; echo code=$?")
    terminal.see(b"xyz\r\n")
    terminal.see(b"code=0")
