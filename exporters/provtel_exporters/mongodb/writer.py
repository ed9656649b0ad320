"""The writing side: new documents are inserted, known records replaced under the merge rules, whoever else writes.

MongoDB writes documents one by one. What a write returned from is there; of one that failed, some may be: it is given
again, and then the rest comes in. A record that is there already is read, merged, and replaced on condition that it is
still the one that was read, by who wrote it and when; where somebody else came first, it is read again.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import ormsgpack
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from provtel_model.components import WriteResult
from provtel_model.errors import PermanentError, RetryableError, StoreError
from provtel_model.merge import merge
from pymongo import IndexModel, ReplaceOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError

from provtel_exporters.mongodb import layout
from provtel_exporters.mongodb.connection import Connection, writing
from provtel_exporters.mongodb.documents import LAST_INT, Document, Encoder, to_plain
from provtel_exporters.mongodb.lines import Line, Lines
from provtel_exporters.mongodb.parts import PartsLostError, PartsReader
from provtel_exporters.mongodb.sending import HangUps, Sending, sort_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint
    from pymongo.collection import Collection
    from pymongo.database import Database

    from provtel_exporters.mongodb.address import Address

    Documents = Collection[dict[str, Any]]

T = TypeVar("T")

_AT_ONCE: Final = 1000
_SORTED: Final = ormsgpack.OPT_SORT_KEYS


class MongodbWriter:
    """A `provtel_model.components.Writer` over MongoDB.

    Args:
        address: Where the database is. Nothing is sent there before the first write.

    Raises:
        UserError: pymongo is not installed.
        StoreError: The address is none.
    """

    def __init__(self, address: Address) -> None:
        self._connection = Connection(address)
        self._lines = Lines()
        self._hang_ups = HangUps()
        self._preparing = threading.Lock()
        self._is_prepared = False
        self._is_closed = False

    def prepare(self) -> None:
        """Make what is missing of the collections' indexes, and see that the format is known.

        Raises:
            RetryableError: The server cannot be reached, or will not do it now; or the format is newer.
        """
        if self._is_closed:
            raise RetryableError(f"the store {self._connection.address} was closed")
        # One thread of the many that write: a FerretDB of which several ask for the same indexes at once panics, and
        # then with every later one.
        with self._preparing:
            if self._is_prepared:
                return
            try:
                with writing(self._connection.address):
                    _prepare(self._connection.database, self._connection.address)
            except StoreError as error:
                raise RetryableError(str(error)) from error
            self._is_prepared = True

    def write(self, records: Sequence[PlainRecord]) -> WriteResult:
        """Merge records into the store; see `provtel_model.components.Writer`."""
        standing = _folded(records)
        if not standing:
            return WriteResult(0, 0)
        self.prepare()
        with writing(self._connection.address):
            database = self._connection.database
            with self._lines.one(database) as line:
                batch = _Batch(database, line, standing, self._hang_ups)
                stored = batch.write()
            batch.sending.end()  # what is refused is no reason to give the line up
        return WriteResult(stored, len(records) - stored)

    def write_points(self, points: Sequence[PlainPoint]) -> WriteResult:
        """Add data points of metrics; see `provtel_model.components.Writer`."""
        return self._write_observations(layout.POINTS, points)

    def write_logs(self, logs: Sequence[PlainLog]) -> WriteResult:
        """Add log records; see `provtel_model.components.Writer`."""
        return self._write_observations(layout.LOGS, logs)

    def _write_observations(self, collection: str, plains: Sequence[PlainPoint | PlainLog]) -> WriteResult:
        encoder = Encoder()
        documents = {document.id: document for document in _encoded(plains, encoder.observation)}
        if not documents:
            return WriteResult(0, 0)
        self.prepare()
        with writing(self._connection.address):
            database = self._connection.database
            sending = Sending(database, self._hang_ups, lambda document: document.content)
            known = sending.send([*documents.values()], lambda some: _insert(database, collection, some))
            sending.end()
        stored = len(documents) - len(known)
        return WriteResult(stored, len(plains) - stored)

    def delete(self, runs: Sequence[str]) -> int:
        """Remove the records of runs, and the log records that name them; see `provtel_model.components.Writer`."""
        self.prepare()
        with writing(self._connection.address):
            database = self._connection.database
            found = database[layout.RECORDS].find({"run": {"$in": list(runs)}}, {"id": 1})
            return sum(_delete_records(database, chunk) for chunk in _chunks(found))

    def delete_telemetry(self, before: int) -> int:
        """Remove data points and log records from before a moment; see `provtel_model.components.Writer`."""
        self.prepare()
        with writing(self._connection.address):
            database = self._connection.database
            return sum(_delete_before(database, name, before) for name in (layout.POINTS, layout.LOGS))

    def close(self) -> None:
        """Release the store; safe to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(PyMongoError):  # then nobody else uses these lines, which costs a reader a look at each
            self._lines.give_back(self._connection.database)
        self._connection.close()


def _prepare(database: Database[dict[str, Any]], address: Address) -> None:
    meta = database[layout.META]
    if check_format(meta, address) and meta.find_one({"_id": layout.FORMAT_ID, "indexes": {"$gte": layout.INDEX_SET}}):
        return
    for name, indexes in layout.INDEXES.items():
        database[name].create_indexes([IndexModel(list(index)) for index in indexes])
    for name, former in layout.FORMER_INDEXES.items():
        for index in former.intersection(database[name].index_information()):
            with suppress(OperationFailure):  # another writer dropped it first; one that stays is only slower to write
                database[name].drop_index(index)
    news = {"$setOnInsert": {"format": layout.FORMAT}, "$set": {"indexes": layout.INDEX_SET}}
    meta.update_one({"_id": layout.FORMAT_ID}, news, upsert=True)
    check_format(meta, address)


def check_format(meta: Documents, address: Address) -> bool:
    """Return whether there is a store.

    Raises:
        StoreError: Its format is newer.
    """
    found = meta.find_one({"_id": layout.FORMAT_ID})
    if found is not None and layout.is_later(found.get("format")):
        raise StoreError(
            f"the store {address} has format {found.get('format')}, and this provtel knows formats up to "
            f"{layout.FORMAT}; upgrade provtel, or name another database"
        )
    return found is not None


def _folded(records: Sequence[PlainRecord]) -> dict[str, PlainRecord]:
    """Return records by their ``_id``, each once."""
    standing: dict[str, PlainRecord] = {}
    for identity, plain in zip(_encoded(records, layout.document_id), records, strict=True):
        known = standing.get(identity)
        standing[identity] = plain if known is None else merge(known, plain)
    return standing


def _encoded(plains: Iterable[Any], encode: Callable[[Any], T]) -> list[T]:
    try:
        return [encode(plain) for plain in plains]
    except (KeyError, ValueError, TypeError, OverflowError, AttributeError, RecursionError, BSONError) as error:
        said = str(error)[:200] or repr(error)
        raise PermanentError(f"a record cannot be stored: {said}") from error


class _Batch:
    """One write of records, by one line.

    Attributes:
        sending: Knows what the server did not take.
    """

    def __init__(
        self,
        database: Database[dict[str, Any]],
        line: Line,
        standing: Mapping[str, PlainRecord],
        hang_ups: HangUps,
    ) -> None:
        self._database = database
        self._records = database[layout.RECORDS]
        self._line = line.id
        self._batch = line.next_batch()
        self._standing = standing
        self._encoder = Encoder()
        self._parts = PartsReader(database)
        self.sending = Sending(database, hang_ups, self._without_stamp)
        self._of_before = 0

    def write(self) -> int:
        """Bring records in; return how many are new, or moved one on."""
        documents = _encoded(enumerate(self._standing.items()), lambda item: self._document(item[0], *item[1]))
        ours = {document.id: document for document in documents}
        open_ = self._insert(documents)
        stored = len(ours) - len(open_)
        while open_:
            better = self._better({identity: self._standing[identity] for identity in open_})
            stored_now, open_ = self._replace({identity: ours[identity] for identity in better}, better)
            stored += stored_now
        return stored + self._of_before

    def _insert(self, documents: Sequence[Document]) -> list[str]:
        """Insert documents; return the ``_id`` of each that was there already."""
        return self.sending.send(documents, lambda some: _insert(self._database, layout.RECORDS, some))

    def _document(self, number: int, identity: str, plain: PlainRecord) -> Document:
        return self._encoder.record(identity, plain, {"by": self._line, "batch": self._batch, "number": number})

    def _without_stamp(self, document: Document) -> bytes:
        return self._encoder.record(document.id, self._standing[document.id], {}).content

    def _better(self, wanted: Mapping[str, PlainRecord]) -> dict[str, dict[str, Any] | None]:
        """Return the stamps of the documents that are to be replaced; none for one that was deleted meanwhile."""
        better: dict[str, dict[str, Any] | None] = dict.fromkeys(wanted)
        for chunk in _chunks(wanted):
            for document in self._records.find({"_id": {"$in": chunk}}):
                identity, stamp = document["_id"], document[layout.OURS]
                if (stamp["by"], stamp["batch"]) == (self._line, self._batch):  # ours, of a try before
                    del better[identity]
                    self._of_before += 1
                    continue
                better[identity] = stamp
                with suppress(PartsLostError):  # then it was replaced since, and will be looked at again
                    there = cast("PlainRecord", to_plain(document, self._parts))
                    if _is_same(there, wanted[identity]) or merge(there, wanted[identity]) is there:
                        del better[identity]
        return better

    def _replace(
        self, documents: Mapping[str, Document], stamps: Mapping[str, dict[str, Any] | None]
    ) -> tuple[int, list[str]]:
        """Replace documents where they are still what was read; return how many were, and those to look at again."""
        gone = [documents[identity] for identity, stamp in stamps.items() if stamp is None]
        again = self._insert(gone)
        there = {identity: stamp for identity, stamp in stamps.items() if stamp is not None}
        for chunk in _chunks(there):
            again += self.sending.send(
                [documents[identity] for identity in chunk], lambda some: self._replace_these(some, there)
            )
        return len(stamps) - len(again), again

    def _replace_these(
        self, documents: Sequence[Document], stamps: Mapping[str, dict[str, Any]]
    ) -> tuple[list[str], dict[str, str]]:
        """Return those to look at again, and why others are refused."""
        _write_parts(self._database, documents)
        requests: list[ReplaceOne[dict[str, Any]]] = [
            ReplaceOne(_unchanged(document.id, stamps[document.id]), RawBSONDocument(document.content))
            for document in documents
        ]
        refused: dict[str, str] = {}
        try:
            result = self._records.bulk_write(requests, ordered=False)
        except BulkWriteError as error:
            _, refused = sort_out(error, documents)
        else:
            if result.matched_count == len(documents):
                _drop_parts(self._database, documents, stamps)
                return [], {}
        ids = [document.id for document in documents]
        mine = {"_id": {"$in": ids}, layout.BY: self._line, layout.BATCH: self._batch}
        done = {document["_id"] for document in self._records.find(mine, {"_id": 1})}
        return [identity for identity in ids if identity not in done and identity not in refused], refused


def _is_same(there: PlainRecord, wanted: PlainRecord) -> bool:
    """Say whether two copies are the same to the bit, as most that come twice are; a merge takes ten times as long."""
    return ormsgpack.packb(there, option=_SORTED) == ormsgpack.packb(wanted, option=_SORTED)


def _unchanged(identity: str, stamp: Mapping[str, Any]) -> dict[str, Any]:
    return {"_id": identity, layout.BY: stamp["by"], layout.BATCH: stamp["batch"], layout.NUMBER: stamp["number"]}


def _insert(
    database: Database[dict[str, Any]], collection: str, documents: Sequence[Document]
) -> tuple[list[str], dict[str, str]]:
    """Insert documents; return the ``_id`` of each that was there already, and why others are refused.

    Raises:
        BulkWriteError: Others could not be inserted.
    """
    _write_parts(database, documents)
    raw: list[Any] = [RawBSONDocument(document.content) for document in documents]
    try:
        database[collection].insert_many(raw, ordered=False)
    except BulkWriteError as error:
        return sort_out(error, documents)
    return [], {}


def _write_parts(database: Database[dict[str, Any]], documents: Iterable[Document]) -> None:
    for document in documents:
        for part in document.parts:
            try:
                database[layout.PARTS].insert_one(part.document())
            except DuplicateKeyError:  # its id tells its content
                continue


def _drop_parts(
    database: Database[dict[str, Any]], documents: Sequence[Document], stamps: Mapping[str, Mapping[str, Any]]
) -> None:
    """Remove what was split off of documents that were replaced."""
    for document in documents:
        kept = {part.id for part in document.parts}
        packed = stamps[document.id].get("exact", {}).values()
        old = [part for one in packed if isinstance(one, dict) for part in one["parts"] if part not in kept]
        if old:
            database[layout.PARTS].delete_many({"_id": {"$in": old}})


def _delete_records(database: Database[dict[str, Any]], found: Sequence[Mapping[str, Any]]) -> int:
    """Remove records, after the log records that name them: who is killed in between finds them again."""
    named = {layout.NAMED: {"$in": sorted({document["id"] for document in found})}}
    logs = [document["_id"] for document in database[layout.LOGS].find(named, {"_id": 1})]
    for chunk in _chunks(logs):
        _delete(database, layout.LOGS, chunk)
    return _delete(database, layout.RECORDS, [document["_id"] for document in found])


def _delete_before(database: Database[dict[str, Any]], collection: str, before: int) -> int:
    found = database[collection].find({"time": {"$lt": min(before, LAST_INT)}}, {"_id": 1})
    deleted = sum(_delete(database, collection, [document["_id"] for document in chunk]) for chunk in _chunks(found))
    if before > LAST_INT:  # such a time is only in the exact form
        last, parts = database[collection].find({"time": LAST_INT}), PartsReader(database)
        ids = [document["_id"] for document in last if to_plain(document, parts)["time"] < before]
        deleted += _delete(database, collection, ids)
    return deleted


def _delete(database: Database[dict[str, Any]], collection: str, ids: list[str]) -> int:
    result = database[collection].delete_many({"_id": {"$in": ids}})
    database[layout.PARTS].delete_many({"of": {"$in": ids}})
    return result.deleted_count


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _AT_ONCE)):
        yield chunk
