"""The frames of one segment, as far as they are whole."""

from __future__ import annotations

import os
import zlib
from itertools import chain
from typing import TYPE_CHECKING, Final, Self

from provtel_model.errors import MalformedError
from provtel_model.journal.layout import FRAME_HEADER, SEGMENT_HEADER, check_segment_header, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Take = Callable[[bytes, int, int], int]

_PORTION: Final = 128 * 1024
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
        self._needed = 0
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
        return chain.from_iterable(self.portions(skip_torn=skip_torn))

    def portions(self, *, skip_torn: bool, take: Take | None = None) -> Iterator[Iterator[bytes]]:
        """Yield the payloads in portions, as much as is read at once; each is to be used up before the next.

        Args:
            skip_torn: As in `frames`.
            take: Given a buffer, a place in it and that place's offset in the segment, it takes as many whole frames
                as it likes and returns the place behind them; those are not yielded.
        """
        size = os.fstat(self._file).st_size
        needed = _HEADER_SIZE
        while needed and self.offset + needed <= size:
            buffer = os.pread(self._file, max(needed, _PORTION), self.offset)
            if len(buffer) < needed:
                return
            yield self._payloads(buffer, skip_torn, take)
            needed = self._needed

    def _payloads(self, buffer: bytes, skip_torn: bool, take: Take | None) -> Iterator[bytes]:  # noqa: FBT001  # handed on
        """Yield the payloads of the frames that are whole in a buffer; note what the next one needs, 0 for no next."""
        at = 0
        self._needed = 0
        while True:
            if take is not None:
                taken = take(buffer, at, self.offset)
                self.offset += taken - at
                at = taken
            if len(buffer) - at < _HEADER_SIZE:
                self._needed = _HEADER_SIZE
                return
            length, crc = _unpack_header(buffer, at)
            end = at + _HEADER_SIZE + length
            if not length:
                return
            if end > len(buffer):
                self._needed = _HEADER_SIZE + length
                return
            payload = buffer[at + _HEADER_SIZE : end]
            intact = zlib.crc32(payload) == crc
            if not intact and not skip_torn:
                return
            self.offset += end - at
            at = end
            if intact:
                yield payload
