"""One file for each value of a resource attribute."""

from __future__ import annotations

import os
import posixpath
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model.errors import PermanentError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_exporters.file.durable import DurableFile

# Less than Linux allows, because a file that is put aside has a longer name.
_LONGEST_NAME: Final = 210
_LONGEST_PATH: Final = 4000


class FilesByValue:
    """Files whose path has a value in the place of its star; as many are open as are used. May be used by threads.

    Args:
        pattern: The path, with one star.
        most_open: The most that are open at once.
        permissions: Of folders that are made.
        make: Makes a file of a path, not open; whether it is gone on with is the second argument.
    """

    def __init__(
        self, pattern: str, most_open: int, permissions: int, make: Callable[[Path, bool], DurableFile]
    ) -> None:
        before, _, self._after = pattern.partition("*")
        cleaned = posixpath.normpath(before)
        self._before = f"{cleaned}/" if before.endswith("/") and not cleaned.endswith("/") else cleaned
        self._most_open = most_open
        self._permissions = permissions
        self._make = make
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, DurableFile] = OrderedDict()
        self._opened: set[Path] = set()
        self._closed = False

    def path_of(self, value: str) -> Path:
        """Return the file of a value: it begins as the path does before its star, whatever the value is."""
        segment = value
        if segment.startswith("./"):
            segment = segment[1:]
        elif segment.startswith("../"):
            segment = segment[2:]
        full = posixpath.normpath(self._before + segment + self._after)
        if full.startswith(self._before):
            return Path(full)
        inside = posixpath.normpath("/" + segment + self._after).lstrip("/")
        return Path(posixpath.join(self._before, inside))

    def check(self, value: str) -> None:
        """Refuse a value that no file can be called by.

        Raises:
            PermanentError: It is one.
        """
        encoded = os.fsencode(str(self.path_of(value)))
        if b"\0" in encoded or len(encoded) > _LONGEST_PATH or max(map(len, encoded.split(b"/"))) > _LONGEST_NAME:
            raise PermanentError(f"no file can be called by {value[:50]!r}")

    def write(self, value: str, entry: bytes) -> None:
        """Add an entry to the file of a value; return when it is on the disk.

        Raises:
            RetryableError: It is not.
        """
        path = self.path_of(value)
        try:
            self._file(path).write(entry)
        except OSError as error:
            raise RetryableError(f"{path} cannot be written: {error.strerror or error}") from error

    def close(self) -> None:
        """Close all files; safe to call twice."""
        with self._lock:
            self._closed = True
            while self._open:
                self._open.popitem()[1].close()

    def _file(self, path: Path) -> DurableFile:
        with self._lock:
            if self._closed:
                raise RetryableError(f"{path} is closed")
            if path not in self._open:
                path.parent.mkdir(self._permissions, parents=True, exist_ok=True)
                file = self._make(path, path in self._opened)
                file.open()
                self._open[path] = file
                self._opened.add(path)
                if len(self._open) > self._most_open:
                    self._open.popitem(last=False)[1].close()
            self._open.move_to_end(path)
            return self._open[path]
