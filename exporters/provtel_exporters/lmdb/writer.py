"""The writing side of a store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar, cast

from provtel_model.components import WriteResult
from provtel_model.errors import PermanentError, RetryableError

from provtel_exporters.lmdb.environment import Environment
from provtel_exporters.lmdb.line import Line, Order
from provtel_exporters.lmdb.observations import encode_log, encode_point
from provtel_exporters.lmdb.rows import encode_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint

    from provtel_exporters.lmdb.observations import EncodedObservation
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
        return self._add(points, encode_points, lambda session, encoded: session.add_points(encoded))

    def write_logs(self, logs: Sequence[PlainLog]) -> WriteResult:
        """Add log records; one that the store has is a duplicate."""
        return self._add(logs, encode_logs, lambda session, encoded: session.add_logs(encoded))

    def delete(self, runs: Sequence[str]) -> int:
        """Remove the records of runs, and the log records that name them; return how many records.

        What is written later takes their space.
        """
        return self.transact(lambda session: session.remove_runs(runs)) if runs else 0

    def delete_telemetry(self, before: int) -> int:
        """Remove data points and log records from before a moment, in nanoseconds; return how many."""
        return self.transact(lambda session: session.remove_telemetry(before))

    def transact(self, work: Callable[[Session], ResultT]) -> ResultT:
        """Do a piece of work in a transaction, which others share; return what it returns when that is durable.

        Args:
            work: May be done more than once; what it returned last counts.

        Raises:
            RetryableError: Nothing was written; it may succeed later.
            PermanentError: Nothing was written and never will be.
        """
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
        ready = encoded(plains, encode)
        if not ready:
            return WriteResult(0, 0)
        stored = self.transact(lambda session: add(session, ready))
        return WriteResult(stored, len(ready) - stored)


def encode_points(points: Sequence[PlainPoint]) -> list[EncodedObservation]:
    """Return data points ready to be written; it raises what `encode_point` does."""
    return [*map(encode_point, points)]


def encode_logs(logs: Sequence[PlainLog]) -> list[EncodedObservation]:
    """Return log records ready to be written; it raises what `encode_log` does."""
    return [*map(encode_log, logs)]


def encoded(plains: Sequence[PlainT], encode: Callable[[Sequence[PlainT]], list[EncodedT]]) -> list[EncodedT]:
    """Return what is to be written, ready for it.

    Args:
        plains: Plain forms.
        encode: `encode_all`, `encode_points` or `encode_logs`.

    Raises:
        PermanentError: Something cannot be stored.
    """
    try:
        return encode(plains)
    except (KeyError, ValueError, TypeError, OverflowError, AttributeError) as error:
        msg = f"it cannot be stored: {error!r}"
        raise PermanentError(msg) from error
