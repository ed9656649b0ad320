"""Stores to ask: over every kind of reader, filled with the same records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import pytest
from provtel_exporters.lmdb import LmdbWriter, open_reader
from provtel_model.components import DrainReport
from provtel_model.record import PlainRecord
from provtel_model.store_folder import LMDB_FOLDER
from provtel_query import Store

from tests.query.memory import MemoryReader

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_model.components import Reader

StoreOf: TypeAlias = Callable[[Sequence[PlainRecord]], Store]


@pytest.fixture(params=["memory", "lmdb"])
def store_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreOf]:
    """Return how to open a store that holds some records."""
    stores: list[Store] = []

    def open_store(records: Sequence[PlainRecord]) -> Store:
        reader = MemoryReader(records) if request.param == "memory" else _lmdb(tmp_path / str(len(stores)), records)
        stores.append(Store(str(tmp_path), reader, DrainReport(0, 0, {})))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


def _lmdb(folder: Path, records: Sequence[PlainRecord]) -> Reader:
    writer = LmdbWriter(folder / LMDB_FOLDER)
    writer.write(records)
    writer.close()
    return open_reader(str(folder))
