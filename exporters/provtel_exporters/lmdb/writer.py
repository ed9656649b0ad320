"""The writing side of a store."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from provtel_model.components import WriteResult
from provtel_model.errors import PermanentError, RetryableError
from provtel_model.store_folder import LMDB_FOLDER, make_store

from provtel_exporters.lmdb.environment import Environment
from provtel_exporters.lmdb.line import Line, Order
from provtel_exporters.lmdb.observations import encode_log, encode_point
from provtel_exporters.lmdb.rows import encode_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint

    from provtel_exporters.lmdb.session import Session

PlainT = TypeVar("PlainT")
EncodedT = TypeVar("EncodedT")
ResultT = TypeVar("ResultT")


class LmdbWriter:
    """A `provtel_model.components.Writer` over LMDB.

    Threads that call at once share a transaction and its fsync; each still gets its own result, and one that cannot be
    written does not take the others with it.

    Args:
        folder: Holds the LMDB files; made where it is missing.

    Raises:
        StoreError: The folder cannot be made or written, or holds a newer format.
    """

    def __init__(self, folder: Path) -> None:
        self._environment: Environment | None = Environment.acquire(folder, writable=True)
        self._line = Line()

    def write(self, records: Sequence[PlainRecord]) -> WriteResult:
        """Merge records into the store; see `provtel_model.components.Writer`."""
        return self._add(records, encode_all, lambda session, encoded: session.merge(encoded))

    def write_points(self, points: Sequence[PlainPoint]) -> WriteResult:
        """Add data points of metrics; one that the store has is a duplicate."""
        return self._add(points, partial(_each, encode_point), lambda session, encoded: session.add_points(encoded))

    def write_logs(self, logs: Sequence[PlainLog]) -> WriteResult:
        """Add log records; one that the store has is a duplicate."""
        return self._add(logs, partial(_each, encode_log), lambda session, encoded: session.add_logs(encoded))

    def delete(self, runs: Sequence[str]) -> int:
        """Remove the records of runs, and the log records that name them; return how many records.

        What is written later takes their space.
        """
        return self._serve(lambda session: session.remove_runs(runs)) if runs else 0

    def delete_telemetry(self, before: int) -> int:
        """Remove data points and log records from before a moment, in nanoseconds; return how many."""
        return self._serve(lambda session: session.remove_telemetry(before))

    def close(self) -> None:
        """Release the store; safe to call twice."""
        environment, self._environment = self._environment, None
        if environment is not None:
            environment.release()

    def _add(
        self,
        plains: Sequence[PlainT],
        encode: Callable[[Sequence[PlainT]], list[EncodedT]],
        add: Callable[[Session, list[EncodedT]], int],
    ) -> WriteResult:
        encoded = _encoded(plains, encode)
        if not encoded:
            return WriteResult(0, 0)
        stored = self._serve(lambda session: add(session, encoded))
        return WriteResult(stored, len(encoded) - stored)

    def _serve(self, work: Callable[[Session], ResultT]) -> ResultT:
        environment = self._environment
        if environment is None:
            raise RetryableError("the store was closed")
        order = Order(work)
        if self._line.process != os.getpid():  # a fork copies locks that nobody here will release
            self._line = Line()
        self._line.serve(cast("Order[object]", order), environment)
        if order.failure is not None:
            raise order.failure
        return cast("ResultT", order.result)


def open_writer(location: str) -> LmdbWriter:
    """Open a store folder for writing, and make it where it is missing; an entry point of ``provtel.writers``.

    Raises:
        StoreError: It cannot be made or written, or is not this user's alone.
    """
    store = Path(location.removeprefix("lmdb://")).expanduser().absolute()
    make_store(store)
    return LmdbWriter(store / LMDB_FOLDER)


def _each(encode: Callable[[PlainT], EncodedT], plains: Sequence[PlainT]) -> list[EncodedT]:
    return [*map(encode, plains)]


def _encoded(plains: Sequence[PlainT], encode: Callable[[Sequence[PlainT]], list[EncodedT]]) -> list[EncodedT]:
    try:
        return encode(plains)
    except (KeyError, ValueError, TypeError, OverflowError, AttributeError) as error:
        msg = f"it cannot be stored: {error!r}"
        raise PermanentError(msg) from error
