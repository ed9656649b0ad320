"""Whether the writer of a journal lives: only its own kernel can tell, by the lock that the writer holds."""

from __future__ import annotations

import contextlib
import enum
import errno
import fcntl
import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from provtel_model.journal.layout import LOCK_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.journal.layout import ProcessFacts


class Liveness(enum.Enum):
    """What can be said about a writer from here."""

    ALIVE = "alive"
    DEAD = "dead"
    ELSEWHERE = "elsewhere"


def liveness(journal: Path, writer: ProcessFacts) -> Liveness:
    """Judge a writer from here.

    The same boot id is the same kernel, whatever the host calls itself (a container has a name of its own): there the
    lock tells. The same host after another boot has lost all its processes. Any other host is for that host to judge.
    """
    if writer.boot == boot_id():
        return Liveness.ALIVE if _is_held(journal, writer) else Liveness.DEAD
    return Liveness.DEAD if writer.host == host_name() else Liveness.ELSEWHERE


def _is_held(journal: Path, writer: ProcessFacts) -> bool:
    try:
        with lock_file(journal / LOCK_FILE, create=False) as held:
            return not held
    except FileNotFoundError:
        return False
    except OSError:
        # A file system without locks: all that is left is to look for the process.
        return process_started(writer.pid) == writer.started


@contextlib.contextmanager
def lock_file(path: Path, *, create: bool) -> Iterator[bool]:
    """Try to lock a file for as long as the block runs; the value says whether it is locked.

    Raises:
        OSError: It cannot be opened, or its file system has no locks.
    """
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    try:
        yield try_lock(file)
    finally:
        os.close(file)


def try_lock(file: int) -> bool:
    """Lock an open file where nobody else has it locked; the lock goes with the last descriptor of this opening.

    Raises:
        OSError: Its file system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True


def host_name() -> str:
    """Return the name of this host."""
    return os.uname().nodename


@functools.cache
def boot_id() -> str:
    """Return what tells this boot of this kernel from every other."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{host_name()}-no-boot-id"


def process_started(pid: int) -> int | None:
    """Return when a process started, in the kernel's own unit; ``None`` where there is none or it cannot be told."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        # The name in parentheses may itself hold parentheses and blanks; start is the 20th field behind it.
        return int(text.rpartition(")")[2].split()[19])
    return None
