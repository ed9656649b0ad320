"""One run of a write transaction: merges records, adds observations, removes what is to go."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final, cast

from provtel_model.merge import merge
from provtel_model.record import Key, PlainRecord, key_of, record_id

from provtel_exporters.lmdb import layout, observations
from provtel_exporters.lmdb.index.block import Block, Entries
from provtel_exporters.lmdb.index.blocks import Blocks
from provtel_exporters.lmdb.index.keys import id_key
from provtel_exporters.lmdb.parts import Parts
from provtel_exporters.lmdb.rows import EncodedRecord, decode, id_of, rows_of
from provtel_exporters.lmdb.runs import rows_of_run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from provtel_exporters.lmdb.files import Transaction
    from provtel_exporters.lmdb.observations import EncodedObservation

_KEY: Final = attrgetter("key")


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the store has of a record: the number of its row, where the index has it, and what is in the row."""

    row: int
    block: Block
    place: int
    content: bytes


@dataclass(slots=True)
class _Standing:
    """The copy that stands so far, of a record that came more than once or that the store has.

    Args:
        plain: The copy.
        record: The same, ready to be written; ``None`` where it is the one that the store has.
        old: What the store has.
    """

    plain: PlainRecord
    record: EncodedRecord | None
    old: _Stored | None = None


class Session:
    """What the orders of one transaction are done with.

    Args:
        transaction: The transaction.

    Attributes:
        parts: The interned parts as it sees them.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._txn = transaction.txn
        self._databases = transaction.databases
        self.parts = Parts(transaction.txn, transaction.databases, transaction.known)
        self._blocks = Blocks(transaction.txn, transaction.databases)
        self._points = observations.points(transaction, self.parts)
        self._logs = observations.logs(transaction, self.parts)
        self._standing: dict[bytes, EncodedRecord | _Standing] = {}

    def merge(self, records: Sequence[EncodedRecord]) -> int:
        """Merge records into the store; return how many stand now that did not."""
        fresh = dict(zip(map(_KEY, records), records, strict=True))
        if not self._standing:
            self._look_up(records)
            if not self._standing and len(fresh) == len(records):  # each is there once, and new
                self._standing.update(fresh)
                return len(records)
        else:
            self._look_up([record for record in records if record.key not in self._standing])
        taken = 0
        for record in records:
            found = self._standing.setdefault(record.key, record)
            taken += found is record or self._take(record, found)
        return taken

    def add_points(self, points: Iterable[EncodedObservation]) -> int:
        """Add data points; return how many are new."""
        return self._points.put(points)

    def add_logs(self, logs: Iterable[EncodedObservation]) -> int:
        """Add log records; return how many are new."""
        return self._logs.put(logs)

    def remove_runs(self, runs: Sequence[str]) -> int:
        """Remove the records of runs, and the log records that name them; return how many records."""
        self._put()
        ids: set[str] = set()
        removed: list[tuple[Block, int]] = []
        for block, place in rows_of_run(self._blocks, self.parts, frozenset(runs)):
            key = layout.row_key(block.row(place))
            ids.add(key_of(decode(self._txn.get(key, db=self._databases.rows), self.parts)).id)
            self._txn.delete(key, db=self._databases.rows)
            removed.append((block, place))
        self._blocks.bury(removed)
        self._logs.remove_of(ids)
        return len(removed)

    def remove_records(self, keys: Collection[Key]) -> int:
        """Remove records, and the log records that name them; return how many records."""
        self._put()
        wanted = [*keys]
        ids = [bytes.fromhex(key.id.replace("-", "")) for key in wanted]
        digests = array("Q", [id_key(known[:16], known[16:]) for known in ids])
        removed: list[tuple[Block, int]] = []
        for number, block, place in self._blocks.find(digests):
            row = layout.row_key(block.row(place))
            same = block.start(place) == wanted[number].started_at
            if same and id_of(self._txn.get(row, b"", db=self._databases.rows)) == ids[number]:
                self._txn.delete(row, db=self._databases.rows)
                removed.append((block, place))
        self._blocks.bury(removed)
        self._logs.remove_of(key.id for key in wanted)
        return len(removed)

    def keys_of_runs(self, runs: Collection[str]) -> set[Key]:
        """Return what identifies the records of runs."""
        found = set()
        for block, place in rows_of_run(self._blocks, self.parts, frozenset(runs)):
            known = id_of(self._txn.get(layout.row_key(block.row(place)), db=self._databases.rows))
            found.add(Key(record_id(known[:16].hex(), known[16:].hex()), block.start(place)))
        return found

    def count_telemetry(self, before: int) -> int:
        """Return how many data points and log records are from before a moment."""
        return self._points.count_before(before) + self._logs.count_before(before)

    def sources(self) -> set[str]:
        """Return the names of what was taken in, for a store that is an index of something else."""
        return layout.sources(self._txn, self._databases)

    def note_sources(self, names: Iterable[str], gone: Iterable[str]) -> None:
        """Note the names of what was taken in, and forget some of them."""
        layout.note_sources(self._txn, self._databases, names, gone)

    def remove_telemetry(self, before: int) -> int:
        """Remove data points and log records from before a moment; return how many."""
        return self._points.remove_before(before) + self._logs.remove_before(before)

    def finish(self) -> None:
        """Write what was only remembered so far."""
        self._put()

    def _look_up(self, records: Sequence[EncodedRecord]) -> None:
        """Remember what the store has of some records."""
        if not records:
            return
        starts = [key[layout.IDS_BYTES :] for key in map(_KEY, records)]  # their order is that of their bytes
        earliest, latest = (int.from_bytes(start, "big") for start in (min(starts), max(starts)))

        def may_have(block: Block) -> bool:
            return block.latest >= earliest and block.earliest <= latest

        if not any(map(may_have, self._blocks)):
            return
        wanted = array("Q", b"".join([record.keys[:8] for record in records]))  # those of ids
        for number, block, place in self._blocks.find(wanted, may_have):
            record = records[number]
            if block.start(place) != record.plain["started_at"] or record.key in self._standing:
                continue
            row = block.row(place)
            content = bytes(self._txn.get(layout.row_key(row), b"", db=self._databases.rows))
            if id_of(content) == record.key[:24]:
                plain = decode(content, self.parts)
                self._standing[record.key] = _Standing(plain, None, _Stored(row, block, place, content))

    def _take(self, record: EncodedRecord, found: EncodedRecord | _Standing) -> bool:
        """Merge a record with the copy that stands; return whether it stands now."""
        standing = _Standing(found.plain, found) if isinstance(found, EncodedRecord) else found
        self._standing[record.key] = standing
        if standing.record is None and standing.old is not None:
            content = standing.old.content
            if len(content) == record.size and content == record.row(self.parts.numbers_of(record.parts)):
                return False
        if merge(standing.plain, record.plain) is standing.plain:
            return False
        standing.plain, standing.record = record.plain, record
        return True

    def _put(self) -> None:
        """Write the records that stand, and remove those in whose place they come."""
        records, old = self._changed()
        self._standing.clear()
        self._remove(old)
        if not records:
            return
        number = layout.next_row(self._txn, self._databases)
        rows = range(number, number + len(records))
        plains, keys, packed, flags, ends, led_to_by = zip(*records, strict=True)
        numbers = {some: self.parts.numbers_of(some) for some in dict.fromkeys(packed)}
        parts = [*map(numbers.__getitem__, packed)]
        contents = rows_of(flags, parts, ends)
        with self._txn.cursor(self._databases.rows) as cursor:
            cursor.putmulti(zip(layout.row_keys(rows), contents, strict=True), append=True)
        layout.put_next_row(self._txn, self._databases, number + len(records))
        self._blocks.add(Entries(rows, plains, parts, keys, led_to_by))

    def _changed(self) -> tuple[list[EncodedRecord], list[_Stored]]:
        """Return the records that stand and that the store does not have, and those in whose place they come."""
        if {EncodedRecord}.issuperset(map(type, self._standing.values())):
            return cast("list[EncodedRecord]", [*self._standing.values()]), []
        records: list[EncodedRecord] = []
        old: list[_Stored] = []
        for found in self._standing.values():
            if isinstance(found, EncodedRecord):
                records.append(found)
            elif found.record is not None:
                records.append(found.record)
                if found.old is not None:
                    old.append(found.old)
        return records, old

    def _remove(self, gone: Sequence[_Stored]) -> None:
        for stored in gone:
            self._txn.delete(layout.row_key(stored.row), db=self._databases.rows)
        self._blocks.bury([(stored.block, stored.place) for stored in gone])
