"""A command as a process of its own, which notices nothing of being watched.

It stays in the process group, on the terminal and on the files of its parent. The terminal's keys reach both; what is
sent to the parent alone is handed on; where the command stops, its parent stops; and how it ended, the parent can end.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provtel.command.witness import Witness
from provtel.telemetry.usage import high_water_mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
_SIGNALLED: Final = 128
_SHELL: Final = "/bin/sh"
_UNTOUCHED: Final = frozenset(
    {
        # The kernel's own, on a fault of this process; and what stops a process that touches a terminal not its own.
        *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS),
        *(signal.SIGKILL, signal.SIGSTOP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGPIPE),
    }
)
_WATCHED: Final = frozenset(signal.valid_signals()) - _UNTOUCHED
_KEYS: Final = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH})
_STOPS: Final = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_BY_PYTHON: Final = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""What Python ignores for itself, and would have the command ignore."""
_DEEPEST: Final = 100


class CannotStartError(Exception):
    """A command cannot be started.

    Args:
        message: What was wrong, for people.
        code: The exit code that a shell gives it.
    """

    def __init__(self, message: str, code: int) -> None:
        """Keep both."""
        super().__init__(message)
        self.code = code


class Ended(NamedTuple):
    """How a command ended, and what it cost.

    Args:
        code: Its exit code, as a shell tells it: 128 and the number of the signal where one ended it.
        signal: That signal.
        usage: What the kernel counted of it and of those of its children that it waited for.
        inherited: The peak of memory, in bytes, that it began with: that of this process.
    """

    code: int
    signal: signal.Signals | int | None
    usage: resource.struct_rusage
    inherited: int


def find_program(name: str) -> str:
    """Return the path of a program, as a shell finds it.

    Raises:
        CannotStartError: There is none, or it cannot be executed.
    """
    if found := shutil.which(name):
        return found
    candidates = [Path(name)] if os.sep in name else [Path(folder, name) for folder in os.get_exec_path()]
    for candidate in candidates:
        with contextlib.suppress(OSError):
            if candidate.is_dir() and os.sep in name:
                raise CannotStartError(f"{name} is a folder", NOT_EXECUTABLE)
            if candidate.is_file():
                raise CannotStartError(
                    f"{candidate} may not be executed; chmod +x makes a program of it", NOT_EXECUTABLE
                )
    where = "there is no such file" if os.sep in name else "no folder of PATH has it"
    raise CannotStartError(f"the command {name} is not found: {where}", NOT_FOUND)


def run(program: str, command: tuple[str, ...], environment: Mapping[str, str], mask: set[int]) -> Ended:
    """Run a command to its end; call it while signals are held.

    Args:
        program: Its path.
        command: Its name and its arguments.
        environment: Its variables.
        mask: The signals that it holds back.

    Raises:
        CannotStartError: It cannot be executed.
    """
    with Witness(mask) as witness:
        pid = _spawn(program, command, environment, mask)
        return _watch(pid, witness, high_water_mark())


def die_by(number: int) -> None:
    """End this process by the signal that ended a command, so that whoever waits sees the same; best effort."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the command has left its core already
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)


@contextlib.contextmanager
def signals_held() -> Iterator[set[int]]:
    """Hold signals back until they are asked for; yields those that were held back before.

    A thread that begins meanwhile holds them back for ever, and so takes none that is meant for the command. What comes
    when the command has ended is thrown away.
    """
    # What nobody handles is thrown away by some kernels although it is held back.
    handler = signal.signal(signal.SIGCHLD, lambda *_: None)
    before = {int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)}
    try:
        yield before
    finally:
        while waiting := signal.sigpending() & _WATCHED:
            signal.sigwait(waiting)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGCHLD, handler)


def _spawn(program: str, command: tuple[str, ...], environment: Mapping[str, str], mask: set[int]) -> int:
    options: dict[str, Any] = {"setsigmask": mask, "setsigdef": _BY_PYTHON}
    try:
        return os.posix_spawn(program, command, environment, **options)
    except OSError as error:
        if error.errno == errno.ENOEXEC:  # a script that does not say by what: shells run it themselves
            return os.posix_spawn(_SHELL, [_SHELL, program, *command[1:]], environment, **options)
        code = NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
        raise CannotStartError(f"{program} cannot be executed: {error.strerror}", code) from None


def _watch(pid: int, witness: Witness, inherited: int) -> Ended:
    while True:
        number, sender = _next_signal()
        if number != signal.SIGCHLD:
            if sender is not None and _is_for_command(number, sender, pid, witness):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            continue
        found, status, usage = os.wait4(pid, os.WNOHANG | os.WUNTRACED)
        if found == 0:
            continue
        if os.WIFSTOPPED(status):
            _stop_too(os.WSTOPSIG(status))
        elif os.WIFSIGNALED(status):
            return Ended(_SIGNALLED + os.WTERMSIG(status), _named(os.WTERMSIG(status)), usage, inherited)
        else:
            return Ended(os.WEXITSTATUS(status), None, usage, inherited)


def _next_signal() -> tuple[int, int | None]:
    """Wait for a signal; return it, and the process that sent it where it was one."""
    wait = getattr(signal, "sigwaitinfo", None)
    if wait is None:  # macOS does not say where a signal comes from
        number = int(signal.sigwait(_WATCHED))
        return number, None if number in _KEYS else 0
    info = wait(_WATCHED)
    # Codes above zero are the kernel's: of a key on the terminal, of a child that ended.
    return info.si_signo, info.si_pid if info.si_code <= 0 else None


def _is_for_command(number: int, sender: int, pid: int, witness: Witness) -> bool:
    """Say whether a signal that a process sent has not reached the command by itself."""
    if number == signal.SIGCONT:
        return _is_stopped(pid)
    return not _is_inside(sender, pid) and not witness.saw(number)


def _is_inside(process: int, pid: int) -> bool:
    """Say whether a process is a command's, or was started by it: it sent its signal to the whole group."""
    for _ in range(_DEEPEST):
        if process in {pid, 0, 1}:
            return process == pid
        fields = _status(process)
        if not fields:
            return False
        process = int(fields[1])
    return False


def _is_stopped(pid: int) -> bool:
    return _status(pid)[:1] == ["T"]


def _status(pid: int) -> list[str]:
    """Return the fields of a process behind its name: its state, its parent, and more."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return []


def _stop_too(number: int) -> None:
    """Stop as a command did that a terminal or a shell stopped, until somebody says to go on."""
    # Where no shell could say so, the kernel ignores it.
    if number in _STOPS:
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})
        signal.signal(signal.SIGTSTP, handler)


def _named(number: int) -> signal.Signals | int:
    try:
        return signal.Signals(number)
    except ValueError:
        return number
