"""Follow a store: new and changed records as they come, and what recording programs bring into it meanwhile."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provtel_model.components import Changes
from provtel_model.filters import Query
from provtel_model.memory import Memory
from provtel_model.store_folder import holds_records

from provtel_query.connect import bring_pending, connect, folder_reader
from provtel_query.stores import FOLDER_SCHEME, scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provtel_model.components import Reader

BEGINNING: Final = "beginning"
_WAIT_SECONDS: Final = 0.5
_LIMIT: Final = 500


def watch(
    store: str | None = None, where: Mapping[str, Any] | None = None, since: str | None = None
) -> Iterator[Changes]:
    """Yield what comes into a store, for ever: at least once, so a record may come again; none is left out.

    What this user's processes record for a store folder is brought in meanwhile, so that a task is seen while it runs.
    An answer may have no records; its cursor counts all the same.

    Args:
        store: The store, as `provtel_query.connect` takes it; a folder need not exist yet.
        where: Only records that match this filter.
        since: The cursor of an answer before, or ``beginning`` for all that the store has; by default from now on.

    Raises:
        FilterError: The cursor is none of this store, or the filter is not understood.
        UnsupportedError: This kind of store tells no changes.
        StoreError: It cannot be read.
    """
    query = Query(where or {})
    with connect(store) as opened:
        folder = Path(opened.location) if scheme_of(opened.location) == FOLDER_SCHEME else None
        cursor = "" if since == BEGINNING else since
        with closing(_Reopened(opened.reader, folder)) as reader:
            while True:
                found = reader.current().changes(cursor, limit=_LIMIT, wait=0 if cursor is None else _WAIT_SECONDS)
                cursor = found.cursor
                yield Changes([record for record in found.records if query.matches(record.plain)], cursor)
                if folder is not None and len(found.records) < _LIMIT:
                    bring_pending(folder)


class _Reopened:
    """The reader of a store, opened anew when a folder has become one."""

    def __init__(self, reader: Reader, folder: Path | None) -> None:
        self._reader = reader
        self._folder = folder

    def current(self) -> Reader:
        if self._folder is not None and isinstance(self._reader, Memory) and holds_records(self._folder):
            self._reader = folder_reader(self._folder)
        return self._reader

    def close(self) -> None:
        self._reader.close()
