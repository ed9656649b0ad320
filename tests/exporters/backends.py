"""The stores that the contract suite runs against: what a backend gives the tests, and what it opts out of."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from provtel_exporters.file import open_reader as open_file_reader
from provtel_exporters.file import open_writer as open_file_writer
from provtel_exporters.lmdb import LmdbWriter, open_reader
from provtel_model.components import Reader, Writer
from provtel_model.store_folder import LMDB_FOLDER


@dataclass(frozen=True)
class Backend:
    """A kind of store. The flags are opt-outs: a new backend runs every test until it declares otherwise.

    Args:
        name: As the entry points call it.
        place: Makes an empty place for a store, and removes it afterwards.
        writer: Opens the store at a place for writing.
        reader: Opens it for reading.
        no_processes: It cannot be written by several processes at once.
    """

    name: str
    place: Callable[[], AbstractContextManager[str]]
    writer: Callable[[str], Writer]
    reader: Callable[[str], Reader]
    no_processes: bool = False

    @contextmanager
    def new(self) -> Iterator[Place]:
        """Give an empty store for the length of a block."""
        with self.place() as location:
            place = Place(self, location)
            try:
                yield place
            finally:
                place.close()


class Place:
    """Where a store is, and what was opened there."""

    def __init__(self, backend: Backend, location: str) -> None:
        self.backend = backend
        self.location = location
        self._open: list[Reader | Writer] = []

    def writer(self) -> Writer:
        """Open the store for writing."""
        writer = self.backend.writer(self.location)
        self._open.append(writer)
        return writer

    def reader(self) -> Reader:
        """Open the store for reading."""
        reader = self.backend.reader(self.location)
        self._open.append(reader)
        return reader

    def close(self) -> None:
        """Close what was opened."""
        for opened in self._open:
            opened.close()
        self._open.clear()


@contextmanager
def _folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="provtel-store-") as folder:
        yield folder


@contextmanager
def _file(name: str = "store.jsonl") -> Iterator[str]:
    with _folder() as folder:
        yield f"{folder}/{name}"


LMDB = Backend("lmdb", _folder, lambda location: LmdbWriter(Path(location) / LMDB_FOLDER), open_reader)

FILE = Backend("file", _file, open_file_writer, open_file_reader, no_processes=True)
PARQUET = replace(FILE, name="parquet", place=partial(_file, "store.parquet"))
"""Lines while it is written, so that the suite of `FILE` is its own; what it adds has tests of its own."""

BACKENDS = {backend.name: backend for backend in (FILE, LMDB)}
