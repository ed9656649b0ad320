"""What a destination refuses for good, on the disk, where a person can look at it and a command can send it again."""

from __future__ import annotations

import base64
import fcntl
import glob
import json
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from provtel_model.components import Batch, Signal
from provtel_model.errors import DeliveryError, MalformedError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER_NAME: Final = "dead-letters"
LIMIT_BYTES: Final = 2**30


@dataclass(frozen=True, slots=True)
class Letter:
    """A batch that was refused for good.

    Args:
        time: When, in UTC.
        exporter: By which exporter.
        reason: What the destination said.
        batch: The batch.
    """

    time: datetime
    exporter: str
    reason: str
    batch: Batch

    def as_line(self) -> bytes:
        """Return it as a line of JSON."""
        said: dict[str, Any] = {
            "time": self.time.isoformat(timespec="milliseconds"),
            "exporter": self.exporter,
            "signal": self.batch.signal,
            "items": self.batch.items,
            "reason": self.reason,
            "payload": base64.b64encode(self.batch.payload).decode(),
        }
        if self.batch.metadata:
            said["metadata"] = dict(self.batch.metadata)
        return json.dumps(said, ensure_ascii=False).encode("utf-8", "replace") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Return the letter that a line holds.

        Raises:
            MalformedError: It holds none.
        """
        try:
            said: dict[str, Any] = json.loads(line)
            payload = base64.b64decode(said["payload"], validate=True)
            batch = Batch(Signal(said["signal"]), payload, int(said["items"]), dict(said.get("metadata", {})))
            return cls(datetime.fromisoformat(said["time"]), str(said["exporter"]), str(said["reason"]), batch)
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedError(f"no dead letter: {error!r}") from error


class DeadLetters:
    """The dead letters of one exporter, in a file that several processes may use.

    Args:
        folder: Where the file is; made where it is missing.
        exporter: Id of the exporter.
        limit: The most bytes that the file may have.
    """

    def __init__(self, folder: Path, exporter: str, limit: int = LIMIT_BYTES) -> None:
        self._exporter = exporter
        self._limit = limit
        self._lock = threading.Lock()
        self.file = folder / f"{quote(exporter, safe='')}.jsonl"

    def add(self, batch: Batch, reason: str) -> None:
        """Put a batch aside; return when it is on the disk.

        Raises:
            RetryableError: It cannot be put aside now: the file is full, or the disk is.
        """
        letter = Letter(datetime.now(UTC), self._exporter, reason, batch)
        try:
            self._append(letter.as_line())
        except OSError as error:
            raise RetryableError(f"it was refused ({reason}), and {self.file} cannot be written: {error}") from error

    def replay(self, send: Callable[[Batch], None]) -> Replayed:
        """Send the letters again, oldest first; what is refused again, and what is no letter, stays.

        Letters that come in the meantime are put aside for the next replay. Where this is killed, letters that were
        taken may be sent again by the next.

        Args:
            send: Takes a batch, or raises a `DeliveryError`.

        Raises:
            OSError: The file cannot be read or written.
        """
        result = Replayed(0, 0)
        for claimed in self._claim():
            with claimed.open("rb") as lines:
                for line in lines:
                    refusal = _refusal(line, send)
                    if refusal:
                        self._append(line.rstrip(b"\n") + b"\n")
                    result = result.plus(refusal)
            claimed.unlink()
        return result

    def _claim(self) -> list[Path]:
        """Take the file away for a replay, and return it with those that an earlier replay did not finish."""
        if self.file.exists():
            with self._locked():
                self.file.rename(self.file.with_suffix(f".{time.time_ns()}.replay"))
        return sorted(self.file.parent.glob(f"{glob.escape(self.file.stem)}.*.replay"))

    def _append(self, line: bytes) -> None:
        with self._lock, self._locked() as descriptor:
            size = os.fstat(descriptor).st_size
            if size + len(line) > self._limit:
                raise OSError(f"it has {size} bytes and may have {self._limit}; replay what is in it, or remove it")
            torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
            try:
                _write(descriptor, b"\n" + line if torn else line)
                os.fsync(descriptor)
                if not size:
                    self._keep_name()
            except OSError:
                os.ftruncate(descriptor, size)
                raise

    def _keep_name(self) -> None:
        """Make the name of a new file survive a crash of the machine."""
        folder = os.open(self.file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the file, for nobody else to write or to take away."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            descriptor = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if self._is_current(descriptor):
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        """Return whether an open file is still the one at the path: a replay may have taken it away."""
        try:
            return os.path.samestat(os.fstat(descriptor), self.file.stat())
        except FileNotFoundError:
            return False


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did.

    Args:
        taken: Letters that were taken.
        left: Letters that stay.
        reason: Why the last of them does.
    """

    taken: int
    left: int
    reason: str = ""

    def plus(self, refusal: str) -> Replayed:
        """Return this with one letter more."""
        return replace(self, left=self.left + 1, reason=refusal) if refusal else replace(self, taken=self.taken + 1)


def _refusal(line: bytes, send: Callable[[Batch], None]) -> str:
    """Send what a line holds; return why it was not taken, nothing where it was."""
    try:
        send(Letter.from_line(line).batch)
    except (DeliveryError, MalformedError) as error:
        return str(error) or type(error).__name__
    return ""


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def default_folder() -> Path:
    """Return where dead letters are where no storage says it.

    In the folder that systemd has for the service, else in the user's for state, else, where a user has no home, as in
    some containers, in the working folder.
    """
    service = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if service:
        return Path(service) / FOLDER_NAME
    state = os.environ.get("XDG_STATE_HOME")
    try:
        return (Path(state) if state else Path("~/.local/state").expanduser()) / "provtel" / FOLDER_NAME
    except RuntimeError:
        return Path(FOLDER_NAME).absolute()
