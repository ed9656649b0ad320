"""Lines of writes: by whom and when each document was written, so that a reader can tell what it has not seen.

MongoDB has no counter that grows in the order in which documents become visible. So each write takes a line that no
other write is using, and a batch number above all that the line had: what one line wrote is visible in the order of its
batches, as a batch begins only when the one before is durable. A reader keeps its place in each line. A line whose last
write ended with an error is never used again, because the server may still be at work on it. The collection ``writers``
names all lines; one that is given back when its writer closes is used by another.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bson.int64 import Int64

from provtel_exporters.mongodb.layout import WRITERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.collection import Collection
    from pymongo.database import Database

_DIGITS: Final = 16


@dataclass
class Line:
    """A line of writes.

    Args:
        id: 16 hexadecimal digits.
        last: The number of its last batch.
    """

    id: str
    last: int

    def next_batch(self) -> int:
        """Return the number of its next batch: nanoseconds since the epoch, unless clocks went back."""
        self.last = max(self.last + 1, time.time_ns())
        return self.last


class Lines:
    """The lines that one writer uses, one for each write at the same time."""

    def __init__(self) -> None:
        self._free: list[Line] = []
        self._process = os.getpid()
        self._lock = threading.Lock()

    @contextmanager
    def one(self, database: Database[dict[str, Any]]) -> Iterator[Line]:
        """Give a line for one write; where that fails, it is used no more."""
        line = self._take() or _adopted(database[WRITERS]) or _new(database[WRITERS])
        yield line
        with self._lock:
            self._free.append(line)

    def give_back(self, database: Database[dict[str, Any]]) -> None:
        """Let others use the lines."""
        while line := self._take():
            state = {"$set": {"free": True, "last": Int64(line.last)}}
            database[WRITERS].update_one({"_id": line.id}, state)

    def _take(self) -> Line | None:
        if self._process != os.getpid():  # a fork copies lines that the parent goes on using
            self.__init__()  # type: ignore[misc]  # as new
        with self._lock:
            return self._free.pop() if self._free else None


def _adopted(writers: Collection[dict[str, Any]]) -> Line | None:
    found = writers.find_one_and_update({"free": True}, {"$set": {"free": False, **_user()}})
    return None if found is None else Line(found["_id"], int(found["last"]))


def _new(writers: Collection[dict[str, Any]]) -> Line:
    line = Line(secrets.token_hex(_DIGITS // 2), 0)
    writers.insert_one({"_id": line.id, "free": False, "last": Int64(0), **_user()})
    return line


def _user() -> dict[str, Any]:
    """Return who uses a line, for people who look."""
    return {"host": socket.gethostname(), "pid": os.getpid()}
