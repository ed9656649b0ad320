"""A file that is on the disk when a write returns; who writes at the same time shares one fsync."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from provtel_model.errors import RetryableError

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_exporters.file.rotation import Rotation


class DurableFile:
    """A file that only grows, and is put aside when it is large. May be used from several threads.

    Args:
        path: Where it is.
        append: Go on at its end; without, it is emptied when it is opened.
        separator: What every entry ends with; where a file does not, its last entry was not written whole, and what
            comes next begins behind a separator of its own.
        rotation: When it is put aside, if ever.
    """

    def __init__(self, path: Path, *, append: bool, separator: bytes, rotation: Rotation | None) -> None:
        self._path = path
        self._append = append
        self._separator = separator
        self._rotation = rotation
        self._writing = threading.Lock()
        self._syncing = threading.Lock()
        self._closed = True
        self._descriptor: int | None = None
        self._size = 0
        self._written = 0
        self._synced = 0

    def open(self) -> None:
        """Open the file; make it where it is missing.

        Raises:
            OSError: It cannot be written.
        """
        with self._writing:
            self._open(empty=not self._append)
            self._closed = False

    def write(self, entry: bytes) -> None:
        """Add an entry; return when it is on the disk.

        Raises:
            RetryableError: It is not, and the file is as it was.
        """
        try:
            with self._writing:
                if self._closed:
                    raise RetryableError(f"{self._path} is closed")
                self._add(self._open_for(len(entry)), entry)
                number = self._written = self._written + 1
            self._sync(number)
        except OSError as error:
            raise RetryableError(f"{self._path} cannot be written: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._writing, self._syncing:
            self._closed = True
            self._close()

    def _open_for(self, length: int) -> int:
        """Return the file that an entry of a length is written to."""
        if self._descriptor is None:  # one was put aside, and the next could not be made
            return self._open(empty=False)
        if self._rotation and self._size and self._rotation.is_due(self._size + length):
            return self._rotate(self._descriptor, self._rotation)
        return self._descriptor

    def _open(self, *, empty: bool) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (os.O_TRUNC if empty else 0)
        self._descriptor = os.open(self._path, flags, 0o644)
        self._size = os.fstat(self._descriptor).st_size
        if self._size and self._separator and not self._ends_whole(self._descriptor):
            self._add(self._descriptor, self._separator)
        _sync_folder(self._path)
        return self._descriptor

    def _ends_whole(self, descriptor: int) -> bool:
        length = len(self._separator)
        return os.pread(descriptor, length, self._size - length) == self._separator

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _rotate(self, descriptor: int, rotation: Rotation) -> int:
        """Put the file aside when all of it is on the disk, and begin a new one."""
        with self._syncing:
            os.fsync(descriptor)
            self._synced = self._written
            rotation.put_aside(self._path)
            self._close()
            return self._open(empty=False)

    def _add(self, descriptor: int, entry: bytes) -> None:
        left = memoryview(entry)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError:
            # Nobody is to find half an entry, for it comes again.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self._size)
            raise
        self._size += len(entry)

    def _sync(self, number: int) -> None:
        """Return when the entry of a number is on the disk, by an fsync of this thread or of another."""
        with self._syncing:
            if self._synced >= number:
                return
            if self._descriptor is None:
                raise RetryableError(f"{self._path} was closed")
            written = self._written
            os.fsync(self._descriptor)
            self._synced = written


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
