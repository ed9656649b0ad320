"""Segments of a journal, as the writer makes them: preallocated and mapped, or written where that is refused."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import sys
import zlib
from typing import TYPE_CHECKING, Any, Final, Protocol

from provtel_model.journal.layout import FRAME_HEADER, SEGMENT_HEADER, pack_segment_header, segment_name

from provtel.accelerator import accelerator
from provtel.own_file import OwnFile

if TYPE_CHECKING:
    from pathlib import Path

_pack_header: Final = FRAME_HEADER.pack_into
_HEADER_SIZE: Final = FRAME_HEADER.size
# Older Pythons keep a descriptor for each map; the writer takes care that it does no harm.
_WITHOUT_DESCRIPTOR: Final[dict[str, Any]] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
_CANNOT_MAP: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV})


class Segment(Protocol):
    """A file that takes frames until it is full; what the process holds of it goes with the last reference."""

    number: int

    def append(self, payload: bytes) -> bool:
        """Append a frame; say whether there was room for it.

        When it returns, the frame survives the death of the process. A call in the middle of another, by a signal
        handler or a finaliser of the same thread, is safe; calls of several threads must be kept apart.

        Raises:
            OSError: It could not be written.
        """


class FrameArea:
    """Memory that takes frames until it is full.

    Args:
        memory: The mapped segment.
        position: Where the first frame goes.
    """

    def __init__(self, memory: mmap.mmap, position: int) -> None:
        """Take the rest of the memory."""
        self._memory = memory
        self._position = position
        self._end = len(memory)

    def append(self, payload: bytes) -> bool:
        """Append a frame; say whether there was room for it."""
        length = len(payload)
        crc = zlib.crc32(payload)
        start = self._position
        end = start + _HEADER_SIZE + length
        if end > self._end:
            return False
        # Nothing may run between these two: a frame whose length is known can be stepped over even when torn.
        self._position = end
        _pack_header(self._memory, start, length, crc)
        self._memory[start + _HEADER_SIZE : end] = payload
        return True


if accelerator is not None and not TYPE_CHECKING:
    FrameArea = accelerator.FrameArea


class MappedSegment(FrameArea):
    """A segment whose space is reserved before it is mapped, so that a full disk shows here and never as SIGBUS.

    Args:
        folder: The journal's folder.
        number: Its number.
        size: How large the file is.

    Raises:
        OSError: The space cannot be reserved or the file not be mapped.
    """

    def __init__(self, folder: Path, number: int, size: int) -> None:
        """Make the file; it has its name only when its header is in it."""
        self.number = number
        new = folder / f".{number}.new"
        file = OwnFile(new)
        try:
            os.posix_fallocate(file.number, 0, size)
            memory = mmap.mmap(file.number, size, **_WITHOUT_DESCRIPTOR)
            memory[: SEGMENT_HEADER.size] = pack_segment_header(number)
            super().__init__(memory, SEGMENT_HEADER.size)
            new.rename(folder / segment_name(number))
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        finally:
            file.close()


class WrittenSegment:
    """A segment that is written frame by frame.

    Args:
        folder: The journal's folder.
        number: Its number.
        size: How large the file may become.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, folder: Path, number: int, size: int) -> None:
        """Make the file; it has its name only when its header is in it."""
        self.number = number
        self._end = size
        self._position = SEGMENT_HEADER.size
        new = folder / f".{number}.new"
        self._file = OwnFile(new)
        try:
            self._write(pack_segment_header(number), 0)
            new.rename(folder / segment_name(number))
        except BaseException:
            new.unlink(missing_ok=True)
            raise

    def append(self, payload: bytes) -> bool:
        """Append a frame; say whether there was room for it."""
        frame = FRAME_HEADER.pack(len(payload), zlib.crc32(payload)) + payload
        start = self._position
        end = start + len(frame)
        if end > self._end:
            return False
        self._position = end
        try:
            self._write(frame, start)
        except OSError:
            # A reader stops at the torn frame, so nothing may follow it here.
            self._end = 0
            raise
        return True

    def _write(self, data: bytes, offset: int) -> None:
        if not self._file.is_open():
            raise OSError(errno.EBADF, "the program closed its segment")
        while data:
            done = os.pwrite(self._file.number, data, offset)
            data, offset = data[done:], offset + done

    def __del__(self) -> None:
        """Close the file with the last reference, which an interrupted call may hold."""
        with contextlib.suppress(AttributeError, OSError):
            self._file.close()


def make_segment(folder: Path, number: int, size: int, *, mapped: bool) -> Segment:
    """Make the next segment of a journal, a mapped one where that is wanted and possible.

    Raises:
        OSError: It cannot be made: the disk is full, the folder is gone or may not be written.
    """
    if mapped and hasattr(os, "posix_fallocate"):
        try:
            return MappedSegment(folder, number, size)
        except OSError as error:
            if error.errno not in _CANNOT_MAP:
                raise
    return WrittenSegment(folder, number, size)
