"""What deletions and merged segments say, and what is left of a segment under them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from provtel_model.errors import StoreError
from provtel_model.record import Key, key_of
from provtel_model.telemetry import records_of

from provtel_exporters.file.contents import Contents

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from provtel_model.telemetry import PlainLog

_ID: Final = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}")
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Origin:
    """What a segment was merged of.

    Args:
        segments: The segments, which are gone when it is there, or will be.
        deletions: The deletions that were applied to them.
    """

    segments: frozenset[str] = _NONE
    deletions: frozenset[str] = _NONE

    def to_json(self) -> bytes:
        """Return it as it is kept."""
        return _packed({"segments": sorted(self.segments), "deletions": sorted(self.deletions)})

    @classmethod
    def of_json(cls, said: Any) -> Self:
        """Return what was kept."""
        return cls(_texts(said, "segments"), _texts(said, "deletions"))


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is not to be read from some segments: those that were there when it was asked for.

    Args:
        records: Which records; log records that name them are not to be read either.
        before: Nor are data points and log records from before this moment, in nanoseconds.
        segments: From which segments.
        forgotten: Earlier deletions that are gone, because no segment is there that they said something of. An index
            that has not applied them has what nobody can tell it to remove.
        name: The name of its file.
    """

    records: frozenset[Key] = frozenset()
    before: int = 0
    segments: frozenset[str] = _NONE
    forgotten: frozenset[str] = _NONE
    name: str = field(default="", compare=False)

    def covers(self, segment: str, origin: Origin) -> bool:
        """Say whether it is about a segment, or about one that this was merged of before the deletion was known."""
        if self.name in origin.deletions:
            return False
        return segment in self.segments or not self.segments.isdisjoint(origin.segments)

    def spares(self, contents: Contents) -> Contents:
        """Return what is left of some contents."""
        return self._part(contents, struck=False)

    def strikes(self, contents: Contents) -> Contents:
        """Return the other part of some contents."""
        return self._part(contents, struck=True)

    def _part(self, contents: Contents, *, struck: bool) -> Contents:
        ids = {key.id for key in self.records} if contents.logs else frozenset[str]()
        return Contents(
            [plain for plain in contents.records if (key_of(plain) in self.records) is struck],
            [point for point in contents.points if (point["time"] < self.before) is struck],
            [log for log in contents.logs if self._strikes_log(log, ids) is struck],
        )

    def _strikes_log(self, log: PlainLog, ids: Collection[str]) -> bool:
        return log["time"] < self.before or (bool(ids) and any(named in ids for named in records_of(log)))

    def to_json(self) -> bytes:
        """Return it as it is kept."""
        said: dict[str, Any] = {name: sorted(getattr(self, name)) for name in ("segments", "forgotten")}
        return _packed(said | {"before": self.before, "records": sorted(map(list, self.records))})

    @classmethod
    def of_json(cls, name: str, said: Any) -> Self:
        """Return what was kept."""
        segments, forgotten = _texts(said, "segments"), _texts(said, "forgotten")
        before, records = said.get("before", 0), said.get("records", ())
        if type(before) is not int or not all(map(_is_key, records)):
            raise StoreError(f"{name} is damaged: it names no moment, or no records; put it back from a copy")
        return cls(frozenset(Key(*record) for record in records), before, segments, forgotten, name)


def spared(contents: Contents, deletions: Iterable[Deletion]) -> Contents:
    """Return what several deletions leave of some contents."""
    for deletion in deletions:
        contents = deletion.spares(contents)
    return contents


def covering(deletions: Iterable[Deletion], segment: str, origin: Origin) -> Sequence[Deletion]:
    """Return the deletions that are about a segment."""
    return [deletion for deletion in deletions if deletion.covers(segment, origin)]


def _texts(said: Any, name: str) -> frozenset[str]:
    texts = said.get(name, ()) if isinstance(said, dict) else None
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise StoreError(f"a note on segments is damaged: its {name} are no list of texts; put it back from a copy")
    return frozenset(texts)


def _is_key(said: Any) -> bool:
    return isinstance(said, list) and [*map(type, said)] == [str, int] and _ID.fullmatch(said[0]) is not None


def _packed(said: Any) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode()
