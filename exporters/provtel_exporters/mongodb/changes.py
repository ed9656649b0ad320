"""What came into a store since: a place in each line of writes, and what the lines have beyond it.

A batch becomes visible document by document. A reader that has seen some of a line's last batch notes which: at its
next look it compares, and where another document is there gives the batch again. The batches before are whole, as
`provtel_exporters.mongodb.lines` tells. Where the server has change streams they end a wait early; what came is read
in the same way.
"""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ormsgpack
from provtel_model.components import Changes
from provtel_model.errors import FilterError
from provtel_model.record import PlainRecord, Record
from pymongo.errors import OperationFailure

from provtel_exporters.mongodb import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pymongo.database import Database

_SHORTEST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_AT_ONCE: Final = 200
_STAMP: Final = {layout.BY: 1, layout.BATCH: 1, layout.NUMBER: 1}


class Seen(NamedTuple):
    """A place in a line.

    Args:
        batch: The last batch of which something was seen.
        number: The place in it of the last document that was seen.
        digest: Tells which documents of the batch were seen.
    """

    batch: int
    number: int
    digest: int


_NOTHING: Final = Seen(0, -1, 0)


@dataclass(frozen=True, slots=True)
class _Written:
    """Where a document stands in its line."""

    id: str
    line: str
    batch: int
    number: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> _Written:
        stamp = document[layout.OURS]
        return cls(document["_id"], stamp["by"], stamp["batch"], stamp["number"])

    @property
    def digest(self) -> int:
        return int.from_bytes(blake2b(self.id.encode(), digest_size=8).digest(), "big")


class Watched:
    """The lines of a store.

    Args:
        database: Where it is.
        read: Returns the records of documents by their ``_id``, of those that are still there.
    """

    def __init__(
        self, database: Database[dict[str, Any]], read: Callable[[Sequence[str]], Mapping[str, PlainRecord]]
    ) -> None:
        self.database = database
        self._records = database[layout.RECORDS]
        self._writers = database[layout.WRITERS]
        self._read = read
        self._has_streams = True

    def changes(self, after: str | None, limit: int, wait: float) -> Changes:
        """Return what came after a cursor.

        Raises:
            FilterError: The cursor is none.
        """
        if after is None:
            return Changes((), _text({line: self._end_of(line) for line in self._lines()}))
        places = _parsed(after)
        deadline = time.monotonic() + wait
        pause = _SHORTEST_PAUSE
        while not (found := self._beyond(places, limit)) and (left := deadline - time.monotonic()) > 0:
            self._pause(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
        while found:
            places = _moved(places, found)
            plains = self._read([each.id for each in found])
            if records := [Record(plains[each.id]) for each in found if each.id in plains]:
                return Changes(records, _text(places))
            found = self._beyond(places, limit)  # all of these were deleted meanwhile
        return Changes((), _text(places))

    def _lines(self) -> list[str]:
        return sorted(document["_id"] for document in self._writers.find({}, {"_id": 1}))

    def _end_of(self, line: str) -> Seen:
        newest = self._records.find_one({layout.BY: line}, _STAMP, sort=[(layout.BATCH, -1)])
        if newest is None:
            return _NOTHING
        written = self._batch(line, newest[layout.OURS]["batch"])
        return _seen(written) or _NOTHING

    def _batch(self, line: str, batch: int) -> list[_Written]:
        return self._written([{layout.BY: line, layout.BATCH: batch}], 0)

    def _written(self, any_of: list[dict[str, Any]], limit: int) -> list[_Written]:
        """Return the documents that one of some conditions holds for, as they came, at most so many."""
        found: list[_Written] = []
        for start in range(0, len(any_of), _AT_ONCE):
            wanted = {"$or": any_of[start : start + _AT_ONCE]}
            order = [(layout.BATCH, 1), (layout.NUMBER, 1)]
            found += map(_Written.of, self._records.find(wanted, _STAMP, sort=order, limit=limit))
        found.sort(key=lambda each: (each.batch, each.line, each.number))
        return found[:limit] if limit else found

    def _beyond(self, places: Mapping[str, Seen], limit: int) -> list[_Written]:
        """Return what lies beyond some places, as it came, at most so much.

        The first look tells how far each line has come; what is before that is whole only at the second.
        """
        lines = self._lines()
        seen = {line: places.get(line, _NOTHING) for line in lines}
        far = {line: place.batch for line, place in seen.items()}
        for each in self._written([{layout.BY: line, layout.BATCH: {"$gt": far[line]}} for line in lines], limit):
            far[each.line] = each.batch
        there: dict[str, list[_Written]] = {line: [] for line in lines}
        reached = [line for line in lines if far[line] > 0]
        for each in self._written(
            [{layout.BY: line, layout.BATCH: {"$gte": seen[line].batch, "$lte": far[line]}} for line in reached], 0
        ):
            there[each.line].append(each)
        found = [each for line in reached for each in _unseen(there[line], seen[line])]
        found.sort(key=lambda each: (each.batch, each.line, each.number))
        return found[:limit]

    def _pause(self, seconds: float) -> None:
        """Wait, or until something comes, where the server can tell."""
        if not self._has_streams or not self._waited(seconds):
            time.sleep(seconds)

    def _waited(self, seconds: float) -> bool:
        """Wait by a change stream; return whether there are any."""
        try:
            with self._records.watch(max_await_time_ms=max(1, int(seconds * 1000))) as stream:
                stream.try_next()
        except OperationFailure:
            self._has_streams = False
        return self._has_streams


def _unseen(written: Sequence[_Written], place: Seen) -> Sequence[_Written]:
    """Return what is to be told of a line: beyond a place, or its batch again where that was not what is there."""
    seen = [each for each in written if each.batch == place.batch and each.number <= place.number]
    return written[len(seen) :] if _digest(seen) == place.digest else written


def _moved(places: Mapping[str, Seen], found: Sequence[_Written]) -> dict[str, Seen]:
    """Return the places after what was found was seen too."""
    result = dict(places)
    for line in {each.line for each in found}:
        own = [each for each in found if each.line == line]
        last = own[-1].batch
        tail = [each for each in own if each.batch == last]
        before = places.get(line)
        goes_on = before is not None and before.batch == last and tail[0].number > before.number
        digest = (before.digest if goes_on and before is not None else 0) + _digest(tail)
        result[line] = Seen(last, tail[-1].number, digest % 2**64)
    return result


def _seen(written: Sequence[_Written]) -> Seen | None:
    return Seen(written[-1].batch, written[-1].number, _digest(written)) if written else None


def _digest(written: Sequence[_Written]) -> int:
    return sum(each.digest for each in written) % 2**64


def _text(places: Mapping[str, Seen]) -> str:
    if not places:
        return ""
    packed = ormsgpack.packb([[bytes.fromhex(line), *place] for line, place in sorted(places.items())])
    return base64.urlsafe_b64encode(packed).decode()


def _parsed(text: str) -> dict[str, Seen]:
    if not text:
        return {}
    try:
        unpacked = ormsgpack.unpackb(base64.b64decode(text, b"-_", validate=True))
        return {line.hex(): Seen(int(batch), int(number), int(digest)) for line, batch, number, digest in unpacked}
    except (ValueError, TypeError, AttributeError, binascii.Error):
        raise FilterError(
            f"{text!r} is no cursor of this store; give what the answer before named as its end"
        ) from None
