"""The writing side of a store on a network file system: each write is a sealed segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from provtel_model.components import WriteResult
from provtel_model.errors import RetryableError, StoreError

from provtel_exporters.file.contents import Contents
from provtel_exporters.lmdb.network.deletions import Deletion
from provtel_exporters.lmdb.network.folder import SegmentFolder
from provtel_exporters.lmdb.network.index import Index
from provtel_exporters.lmdb.rows import encode_all
from provtel_exporters.lmdb.writer import encode_logs, encode_points, encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from provtel_model.record import PlainRecord
    from provtel_model.telemetry import PlainLog, PlainPoint

    from provtel_exporters.lmdb.session import Session

T = TypeVar("T")


class SegmentWriter:
    """A `provtel_model.components.Writer` that needs neither an index nor a lock: any number of them may write at once.

    It does not know what the store has, so everything that it writes counts as stored; copies are merged where they are
    read. To remove something it makes an index, as a reader does.

    Args:
        store: The store folder, which is there.

    Raises:
        StoreError: The folder of segments cannot be made.
    """

    def __init__(self, store: Path) -> None:
        self._segments = SegmentFolder(store)
        self._segments.make()
        self._closed = False

    def write(self, records: Sequence[PlainRecord]) -> WriteResult:
        """Add records; see `provtel_model.components.Writer`."""
        return self._seal(Contents(records=list(records)))

    def write_points(self, points: Sequence[PlainPoint]) -> WriteResult:
        """Add data points of metrics."""
        return self._seal(Contents(points=list(points)))

    def write_logs(self, logs: Sequence[PlainLog]) -> WriteResult:
        """Add log records."""
        return self._seal(Contents(logs=list(logs)))

    def delete(self, runs: Sequence[str]) -> int:
        """Remove the records of runs, and the log records that name them; return how many records.

        Their space is given back when the store is compacted.
        """
        if not runs:
            return 0
        counted: list[int] = []

        def wanted(segments: frozenset[str], session: Session) -> Deletion | None:
            keys = session.keys_of_runs(runs)
            counted[:] = [len(keys)]
            return Deletion(records=frozenset(keys), segments=segments) if keys else None

        self._delete(wanted)
        return counted[0]

    def delete_telemetry(self, before: int) -> int:
        """Remove data points and log records from before a moment, in nanoseconds; return how many."""
        counted: list[int] = []

        def wanted(segments: frozenset[str], session: Session) -> Deletion | None:
            counted[:] = [session.count_telemetry(before)]
            return Deletion(before=before, segments=segments) if counted[0] else None

        self._delete(wanted)
        return counted[0]

    def close(self) -> None:
        """Write no more; safe to call twice."""
        self._closed = True

    def _seal(self, contents: Contents) -> WriteResult:
        self._require_open()
        # What an index could not take would be missing from every answer.
        encoded(contents.records, encode_all)
        encoded(contents.points, encode_points)
        encoded(contents.logs, encode_logs)
        count = len(contents.records) + len(contents.points) + len(contents.logs)
        if count:
            self._told(lambda: self._segments.seal(contents.lines()))
        return WriteResult(count, 0)

    def _delete(self, wanted: Callable[[frozenset[str], Session], Deletion | None]) -> None:
        self._require_open()
        index = self._told(lambda: Index(self._segments))
        try:
            self._told(lambda: index.delete(wanted))
        finally:
            index.close()

    def _require_open(self) -> None:
        if self._closed:
            raise RetryableError(f"the store {self._segments.store} was closed")

    def _told(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except OSError as error:
            reason = error.strerror or error
            raise RetryableError(f"the store {self._segments.store} cannot be written: {reason}") from error
        except StoreError as error:
            raise RetryableError(str(error)) from error
