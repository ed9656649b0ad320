"""Stores that hold some records, over the reference and over each backend."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from provtel_model.components import DrainReport
from provtel_query import Store

from tests.query.memory import MemoryReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provtel_model.record import PlainRecord

    from tests.exporters.backends import Backend


def in_memory(records: Sequence[PlainRecord]) -> Store:
    """Return a store over the reader that has no index."""
    return Store("memory", MemoryReader(records), DrainReport(0, 0, {}))


@contextmanager
def held(backend: Backend, records: Sequence[PlainRecord]) -> Iterator[Store]:
    """Give a store of a backend that holds some records, for the length of a block."""
    with backend.new() as place:
        writer = place.writer()
        writer.write(records)
        writer.close()
        with Store(place.location, place.reader(), DrainReport(0, 0, {})) as store:
            yield store
