"""Data points and log records: how they are packed, kept in the order of time, and found.

The key of an observation is its time and the first 16 bytes of its id. What many share is interned, as of records: the
origin, what kind of observation it is, and the shape. Lists lead to those of one process (``p``), and to those that
name a record (``r``).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import ormsgpack
from provtel_model.errors import StoreError
from provtel_model.telemetry import PlainLog, PlainPoint, check_observation, observation_id, records_of

from provtel_exporters.lmdb import layout
from provtel_exporters.lmdb.packing import ORIGIN, pack, part, put_part, put_values, shape_and_values, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import lmdb
    from provtel_model.telemetry import Window

    from provtel_exporters.lmdb.files import Transaction
    from provtel_exporters.lmdb.parts import Parts

PlainT = TypeVar("PlainT", PlainPoint, PlainLog)

_POINT: Final = ("name", "kind", "unit", "description", "temporality", "monotonic")
_LOG: Final = ("name", "severity", "severity_text")
_HEADER: Final = struct.Struct(">B3I")
_TIME_BYTES: Final = 8
_ID_BYTES: Final = 16
_LAST_TIME: Final = 2**64 - 1
_PROCESS: Final = b"p"
_RECORD: Final = b"r"
_IDS: Final = ("trace_id", "span_id")


@dataclass(frozen=True, slots=True)
class EncodedObservation:
    """An observation ready to be written, but for the numbers of its parts."""

    key: bytes
    parts: tuple[bytes, bytes, bytes]
    flags: int
    values: bytes
    lists: set[bytes]


class Observations(Generic[PlainT]):
    """The data points, or the log records, of a store as one transaction sees them.

    Args:
        transaction: The transaction.
        parts: The interned parts as it sees them.
        fields: What is interned as their kind.
        kept: The database that holds them.
        lists: The database of the lists that lead to them.
    """

    def __init__(
        self,
        transaction: Transaction,
        parts: Parts,
        fields: Sequence[str],
        kept: lmdb._Database,
        lists: lmdb._Database,
    ) -> None:
        self._txn = transaction.txn
        self._parts = parts
        self._fields = fields
        self._kept = kept
        self._lists = lists

    def put(self, observations: Iterable[EncodedObservation]) -> int:
        """Add what is not there yet; return how many that were."""
        return sum(map(self._put, observations))

    def within(self, window: Window) -> list[PlainT]:
        """Return those of a window, in order."""
        found = map(self.plain, self._keys_of(window))
        return list(islice(filter(window.matches, found), window.limit))

    def remove_before(self, moment: int) -> int:
        """Remove those from before a moment; return how many."""
        return self._remove(list(self._between(0, moment - 1)))

    def count_before(self, moment: int) -> int:
        """Return how many are from before a moment."""
        return sum(1 for _ in self._between(0, moment - 1))

    def remove_of(self, record_ids: Iterable[str]) -> int:
        """Remove those that name a record; return how many."""
        lists = {_RECORD + layout.digest(record_id) for record_id in record_ids}
        return self._remove({key for name in lists for key in self._listed(name, 0, _LAST_TIME)})

    def plain(self, key: bytes) -> PlainT:
        """Return the observation of a key.

        Raises:
            StoreError: It is missing.
        """
        packed = self._txn.get(key, db=self._kept)
        if packed is None:
            raise StoreError(
                "the store is damaged: a list names an observation that is missing; see provtel store verify"
            )
        flags, origin, kind, shape = _HEADER.unpack_from(packed)
        plain: dict[str, Any] = {"time": int.from_bytes(key[:_TIME_BYTES], "big")}
        put_part(plain, self._fields, self._parts[kind])
        put_part(plain, ORIGIN, self._parts[origin])
        put_values(plain, self._parts[shape], unpack(flags, packed[_HEADER.size :]))
        for name in _IDS:
            if type(plain.get(name)) is bytes:
                plain[name] = plain[name].hex()
        return cast("PlainT", plain)

    def _put(self, observation: EncodedObservation) -> bool:
        numbers = map(self._parts.number_of, observation.parts)
        packed = _HEADER.pack(observation.flags, *numbers) + observation.values
        if not self._txn.put(observation.key, packed, overwrite=False, db=self._kept):
            return False
        for name in observation.lists:
            self._txn.put(name, observation.key, db=self._lists)
        return True

    def _remove(self, keys: Iterable[bytes]) -> int:
        count = 0
        for key in keys:
            for name in _lists_of(self.plain(key)):
                self._txn.delete(name, key, db=self._lists)
            count += self._txn.delete(key, db=self._kept)
        return count

    def _keys_of(self, window: Window) -> Iterator[bytes]:
        first = 0 if window.since is None else max(0, window.since)
        last = _LAST_TIME if window.until is None else min(_LAST_TIME, window.until)
        if window.record_id is not None:
            return self._listed(_RECORD + layout.digest(window.record_id), first, last)
        if window.pid is not None:
            return self._listed(_process_key(window.host, window.pid), first, last)
        return self._between(first, last)

    def _between(self, first: int, last: int) -> Iterator[bytes]:
        with self._txn.cursor(self._kept) as cursor:
            if first <= last and cursor.set_range(_moment(first)):
                yield from _until(last, cursor.iternext(keys=True, values=False))

    def _listed(self, name: bytes, first: int, last: int) -> Iterator[bytes]:
        with self._txn.cursor(self._lists) as cursor:
            if first <= last and cursor.set_range_dup(name, _moment(first)):
                yield from _until(last, cursor.iternext_dup())


def points(transaction: Transaction, parts: Parts) -> Observations[PlainPoint]:
    """Return the data points of a store."""
    databases = transaction.databases
    return Observations(transaction, parts, _POINT, databases.points, databases.point_lists)


def logs(transaction: Transaction, parts: Parts) -> Observations[PlainLog]:
    """Return the log records of a store."""
    databases = transaction.databases
    return Observations(transaction, parts, _LOG, databases.logs, databases.log_lists)


def encode_point(plain: PlainPoint) -> EncodedObservation:
    """Return a data point ready to be written.

    Raises:
        ValueError: Its time is none.
        TypeError: A value is not in AnyValue form, or nested too deep to be packed.
    """
    return _encode(plain, _POINT)


def encode_log(plain: PlainLog) -> EncodedObservation:
    """Return a log record ready to be written.

    Raises:
        ValueError: Its time is none.
        TypeError: A value is not in AnyValue form, or nested too deep to be packed.
    """
    return _encode(plain, _LOG)


def _encode(plain: PlainPoint | PlainLog, fields: Sequence[str]) -> EncodedObservation:
    check_observation(plain)
    key = _moment(plain["time"]) + bytes.fromhex(observation_id(plain))[:_ID_BYTES]
    known = cast("dict[str, Any]", plain)
    shape, values = shape_and_values(map(_shortened, known.items()), {"time", *fields, *ORIGIN})
    flags, packed = pack(values)
    parts = (part(known, ORIGIN), part(known, fields), ormsgpack.packb(shape))
    return EncodedObservation(key, parts, flags, packed, set(_lists_of(plain)))


def _shortened(item: tuple[str, Any]) -> tuple[str, Any]:
    """Return an id as bytes where that loses nothing."""
    name, value = item
    if name in _IDS and isinstance(value, str):
        try:
            short = bytes.fromhex(value)
        except ValueError:
            return item
        return (name, short) if short.hex() == value else item
    return item


def _lists_of(plain: PlainPoint | PlainLog) -> Iterator[bytes]:
    for record_id in records_of(plain):
        yield _RECORD + layout.digest(record_id)
    if "host" in plain and "pid" in plain:
        yield _process_key(plain["host"], plain["pid"])


def _process_key(host: str | None, pid: int) -> bytes:
    return _PROCESS + layout.digest(f"{pid} {host}")


def _moment(time: int) -> bytes:
    return time.to_bytes(_TIME_BYTES, "big")


def _until(last: int, keys: Iterable[Any]) -> Iterator[bytes]:
    end = _moment(last)
    for found in keys:
        key = bytes(found)
        if key[:_TIME_BYTES] > end:
            return
        yield key
