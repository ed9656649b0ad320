"""The frames of one segment, as far as they are whole."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Final, Self

from provtel_model.errors import MalformedError
from provtel_model.journal.layout import FRAME_HEADER, SEGMENT_HEADER, check_segment_header, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK: Final = 256 * 1024
_HEADER_SIZE: Final = FRAME_HEADER.size
_unpack_header: Final = FRAME_HEADER.unpack_from


class OpenSegment:
    """An open segment and how far it was read."""

    def __init__(self, journal: Path, number: int, offset: int = SEGMENT_HEADER.size) -> None:
        """Open the file and check that this version can read it.

        Raises:
            MalformedError: It is no segment, or one of a later format.
            OSError: It cannot be opened.
        """
        self._file = os.open(journal / segment_name(number), os.O_RDONLY | os.O_CLOEXEC)
        self.offset = offset
        try:
            check_segment_header(os.pread(self._file, SEGMENT_HEADER.size, 0))
        except MalformedError:
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        os.close(self._file)

    def frames(self, *, skip_torn: bool) -> Iterator[bytes]:
        """Yield payloads from the offset on, which moves behind each before it is yielded.

        A frame whose CRC does not fit is being written where the writer lives: there the reading ends, to go on
        another time. Where it does not, the frame is torn and is skipped.
        """
        buffer, start = b"", self.offset
        size = os.fstat(self._file).st_size
        while True:
            needed = _HEADER_SIZE
            at = self.offset - start
            if len(buffer) - at >= needed:
                length, crc = _unpack_header(buffer, at)
                if not length:
                    return
                needed += length
                if len(buffer) - at >= needed:
                    payload = buffer[at + _HEADER_SIZE : at + needed]
                    intact = zlib.crc32(payload) == crc
                    if not intact and not skip_torn:
                        return
                    self.offset += needed
                    if intact:
                        yield payload
                    continue
            start = self.offset
            if start + needed > size:
                return
            buffer = os.pread(self._file, max(needed, _CHUNK), start)
