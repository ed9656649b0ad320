"""Whether a copy is what it was made of: count and digest of both sides, record by record."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import ormsgpack
from provtel_model.filters import Query
from provtel_model.hashing import canonical_bytes
from provtel_model.merge import merge
from provtel_model.record import Key, PlainRecord, as_any_value, key_of
from provtel_model.telemetry import PlainLog, PlainPoint, Window, observation_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from provtel_model.components import Reader

_BITS: Final = 256
_SHOWN: Final = 5


@dataclass(slots=True)
class Digest:
    """A digest of many things that does not depend on their order: the sum of the SHA-256 of the bytes of each."""

    total: int = 0

    def add(self, content: bytes) -> None:
        """Take in one of them."""
        self.total = (self.total + int.from_bytes(sha256(content).digest(), "big")) % 2**_BITS

    def __str__(self) -> str:
        return f"sha256-sum:{self.total:0{_BITS // 4}x}"


@dataclass(slots=True)
class Compared:
    """What of one kind is on both sides.

    Args:
        source: How many were to be copied.
        target: How many of these the target has.
        newer: Of how many records the target has a later state than the source; they are in no digest.
        late: How many came, or moved on, while the copy was made, and were copied after it.
        differing: Some of those that are missing or differ, each with what is the matter.
        count_differing: How many these are.
    """

    source: int = 0
    target: int = 0
    newer: int = 0
    late: int = 0
    differing: list[str] = field(default_factory=list)
    count_differing: int = 0
    source_digest: Digest = field(default_factory=Digest)
    target_digest: Digest = field(default_factory=Digest)

    @property
    def equal(self) -> bool:
        """Whether both sides have the same."""
        return self.source == self.target and self.source_digest == self.target_digest and not self.count_differing

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "source": {"count": self.source, "digest": str(self.source_digest)},
            "target": {"count": self.target, "digest": str(self.target_digest)},
            "newer": self.newer,
            "late": self.late,
            "differing": self.differing,
        }

    def add_record(self, plain: PlainRecord, there: PlainRecord | None) -> None:
        """Take in a record of the source, and what the target has of it."""
        self.source += 1
        if there is None:
            self.source_digest.add(_canonical(plain))
            self._note(f"{key_of(plain).id} is missing")
            return
        self.target += 1
        same = is_same(plain, there)
        if not same and merge(there, plain) is there:
            self.newer += 1
            return
        content = _canonical(plain)
        self.source_digest.add(content)
        self.target_digest.add(content if same else _canonical(there))
        if not same:
            fields = sorted(key for key in {*plain, *there} if _field(plain, key) != _field(there, key))
            self._note(f"{key_of(plain).id} differs in {', '.join(fields)}")

    def add_observation(self, identity: str, *, there: bool) -> None:
        """Take in the id of a data point or log record, and whether the target has it."""
        self.source += 1
        self.source_digest.add(bytes.fromhex(identity))
        if there:
            self.target += 1
            self.target_digest.add(bytes.fromhex(identity))
        else:
            self._note(f"{identity} is missing")

    def _note(self, text: str) -> None:
        self.count_differing += 1
        if len(self.differing) < _SHOWN:
            self.differing.append(text)


def there_of(reader: Reader, records: Sequence[PlainRecord]) -> Mapping[Key, PlainRecord]:
    """Return what a store has of some records."""
    ids = sorted({key_of(plain).id for plain in records})
    found = reader.find(Query({"id": {"$in": ids}}, sort=()))
    return {key_of(record.plain): record.plain for record in found}


def missing_of(
    ask: Callable[[Window], Sequence[PlainPoint | PlainLog]],
    window: Window,
    wanted: Iterable[PlainPoint | PlainLog],
) -> set[str]:
    """Return the ids of data points or log records that a store lacks, of those that lie in a window."""
    there = {observation_id(one) for one in ask(window)}
    return {observation_id(one) for one in wanted} - there


def is_same(one: PlainRecord, other: PlainRecord) -> bool:
    """Say whether two copies of a record are equal."""
    return _packed(one) == _packed(other) or _canonical(one) == _canonical(other)


def is_behind(there: PlainRecord | None, plain: PlainRecord) -> bool:
    """Say whether a store is to be given a record: it has no copy of it, or a worse one."""
    return there is None or not (is_same(there, plain) or merge(there, plain) is there)


def _packed(plain: PlainRecord) -> bytes:
    return ormsgpack.packb(plain, option=ormsgpack.OPT_SORT_KEYS)  # where these are equal, so are canonical bytes


def _canonical(plain: PlainRecord) -> bytes:
    return canonical_bytes(as_any_value(plain))


def _field(plain: PlainRecord, key: str) -> bytes | None:
    known = as_any_value(plain)
    return canonical_bytes(known[key]) if key in known else None
