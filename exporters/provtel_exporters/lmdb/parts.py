"""The interned parts of a store: what many records share, written once and named by a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import ormsgpack

if TYPE_CHECKING:
    import lmdb

    from provtel_exporters.lmdb.layout import Databases

PART_BYTES: Final = 4

_DIGEST: Final = 16
_MOST_KNOWN: Final = 20_000


@dataclass(slots=True)
class KnownParts:
    """Parts that were committed, as this process remembers them.

    Args:
        contents: Parts by number.
        numbers: Numbers by packed part.
        made: What was made of the records in rows, by what it is and the number of the row: a row never changes.
        heads: The heads of blocks, by their bytes; see `provtel_exporters.lmdb.index.block`.
        blocks: The number of a transaction that was committed, and where the blocks lie in what it left. A snapshot of
            the same number has them there too, as long as the map stays where it is.
    """

    contents: dict[int, Any] = field(default_factory=dict)
    numbers: dict[bytes, int] = field(default_factory=dict)
    made: dict[tuple[str, int], Any] = field(default_factory=dict)
    heads: dict[bytes, Any] = field(default_factory=dict)
    blocks: tuple[int, Sequence[Any]] = (-1, ())

    def forget_some(self) -> None:
        """Keep memory bounded where every record brings parts of its own."""
        known: tuple[dict[Any, Any], ...] = (self.contents, self.numbers, self.made, self.heads)
        for one in known:
            if len(one) > _MOST_KNOWN:
                one.clear()


class Parts:
    """The parts of a store as one transaction sees them."""

    def __init__(self, txn: lmdb.Transaction[Any], databases: Databases, known: KnownParts) -> None:
        self._txn = txn
        self._databases = databases
        self._known = known
        self._new: dict[bytes, int] = {}
        self._together: dict[tuple[bytes, bytes, bytes, bytes], tuple[int, int, int, int]] = {}
        self._uncommitted: dict[int, bytes] = {}
        known.forget_some()

    def __getitem__(self, number: int) -> Sequence[Any]:
        """Return a part; it is shared, and so not to be changed."""
        if number in self._uncommitted:
            return ormsgpack.unpackb(self._uncommitted[number])  # type: ignore[no-any-return]  # every part is a list
        found = self._known.contents.get(number)
        if found is None:
            packed = self._txn.get(number.to_bytes(PART_BYTES, "big"), b"", db=self._databases.parts)
            found = self._known.contents[number] = ormsgpack.unpackb(packed)
        return found  # type: ignore[no-any-return]  # every part is a list

    def number_of(self, packed: bytes) -> int:
        """Return the number of a part; the store gets it where it does not have it."""
        number = self._known.numbers.get(packed)
        if number is None:
            number = self._new.get(packed)
        if number is None:
            number = self._new[packed] = self._find_or_put(packed)
        return number

    def numbers_of(self, packed: tuple[bytes, bytes, bytes, bytes]) -> tuple[int, int, int, int]:
        """Return the numbers of the parts of a record, as `number_of` gives them."""
        found = self._together.get(packed)
        if found is None:
            origin, activity, run, shape = map(self.number_of, packed)
            found = self._together[packed] = origin, activity, run, shape
        return found

    def commit(self) -> None:
        """Remember what this transaction learned; called after it was committed."""
        self._known.numbers.update(self._new)

    def _find_or_put(self, packed: bytes) -> int:
        digest = blake2b(packed, digest_size=_DIGEST).digest()
        found = self._txn.get(digest, db=self._databases.part_ids)
        if found is not None:
            return int.from_bytes(found, "big")
        number = self._txn.stat(self._databases.parts)["entries"]  # none is ever removed
        key = number.to_bytes(PART_BYTES, "big")
        self._uncommitted[number] = packed
        self._txn.put(key, packed, append=True, db=self._databases.parts)
        self._txn.put(digest, key, db=self._databases.part_ids)
        return number
