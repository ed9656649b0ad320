"""An open file that is never mistaken for another one.

A program may close descriptors that are not its own: daemons do, to be rid of what they inherited. The number is then
given to the next file that the program opens, and to write or close by it would harm that file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class OwnFile:
    """A file that was made here, readable and writable for its user only, and not inherited by other programs.

    Args:
        path: Where it is made; it must not exist.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        """Make the file."""
        self.number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._identity = identity_of(self.number)

    def is_open(self) -> bool:
        """Say whether the descriptor is still this file's."""
        return self._links() is not None

    def is_linked(self) -> bool:
        """Say whether the descriptor is still this file's, and the file still in a folder."""
        return bool(self._links())

    def close(self) -> None:
        """Close the file, once, where the descriptor is still its own."""
        if self.is_open():
            os.close(self.number)
        self._identity = (-1, -1)

    def _links(self) -> int | None:
        try:
            status = os.fstat(self.number)
        except OSError:
            return None
        return status.st_nlink if (status.st_dev, status.st_ino) == self._identity else None


def identity_of(number: int) -> tuple[int, int]:
    """Return what tells the file of a descriptor from others.

    Raises:
        OSError: It is none.
    """
    status = os.fstat(number)
    return status.st_dev, status.st_ino
