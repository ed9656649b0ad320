"""The stores that the contract suite runs against: what a backend gives the tests, and what it opts out of."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial, wraps
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from provtel_exporters.file import open_reader as open_file_reader
from provtel_exporters.file import open_writer as open_file_writer
from provtel_exporters.lmdb import LmdbWriter, open_reader, open_writer
from provtel_exporters.lmdb.network.cache import VARIABLE as CACHE
from provtel_exporters.mongodb import open_reader as open_mongodb_reader
from provtel_exporters.mongodb import open_writer as open_mongodb_writer
from provtel_model.components import Reader, Writer, WriteResult
from provtel_model.file_systems import VARIABLE as FILE_SYSTEMS
from provtel_model.store_folder import LMDB_FOLDER
from pymongo import MongoClient

from tests.services.mongodb.server import Mongodb

_FREE_DATABASES: list[str] = []
SERVERS: dict[str, Mongodb] = {}
"""The servers that run, by the names of their fixtures."""


@dataclass(frozen=True)
class Backend:
    """A kind of store. The flags are opt-outs: a new backend runs every test until it declares otherwise.

    Args:
        name: As the entry points call it.
        place: Makes an empty place for a store, and removes it afterwards.
        writer: Opens the store at a place for writing.
        reader: Opens it for reading.
        no_processes: It cannot be written by several processes at once.
        no_files: It lies on a server, whose disk and whose files are that one's own matter.
        service: Name of the fixture that runs the server that it needs.
        no_duplicates: It does not know what it has when it writes, and counts everything as stored.
        one_in: Of how many examples of a property one is tried, where each takes long.
    """

    name: str
    place: Callable[[], AbstractContextManager[str]]
    writer: Callable[[str], Writer]
    reader: Callable[[str], Reader]
    no_processes: bool = False
    no_files: bool = False
    service: str | None = None
    no_duplicates: bool = False
    one_in: int = 1

    def written(self, stored: int, duplicates: int) -> WriteResult:
        """Return what a writer says of so much that is new to the store, and so much that is not."""
        return WriteResult(stored + duplicates, 0) if self.no_duplicates else WriteResult(stored, duplicates)

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


def thinned(test: Callable[..., None]) -> Callable[..., None]:
    """Let a property be tried with fewer examples where its backend is slow; always with the same ones."""

    @wraps(test)
    def tried(backend: Backend, **drawn: Any) -> None:
        if not crc32(repr(sorted(drawn.items())).encode("utf-8", "replace")) % backend.one_in:
            test(backend, **drawn)

    return tried


@contextmanager
def _folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="provtel-store-") as folder:
        yield folder


@contextmanager
def _network_folder() -> Iterator[str]:
    """Give a folder that is said to be on a network file system, and a place for indexes beside it."""
    with _folder() as folder, pytest.MonkeyPatch.context() as patched:
        told = os.environ.get(FILE_SYSTEMS, "")
        patched.setenv(FILE_SYSTEMS, f"{told}:{folder}/far=network")
        patched.setenv(CACHE, f"{folder}/cache")
        yield f"{folder}/far/store"


@contextmanager
def _file(name: str = "store.jsonl") -> Iterator[str]:
    with _folder() as folder:
        yield f"{folder}/{name}"


@contextmanager
def _database() -> Iterator[str]:
    server = SERVERS["mongodb"]
    location = _FREE_DATABASES.pop() if _FREE_DATABASES else server.new_database()
    yield location
    with MongoClient[dict[str, Any]](location) as client:  # emptied, as a new one takes a tenth of a second
        for name in ("records", "points", "logs", "parts"):
            client.get_default_database()[name].delete_many({})
    _FREE_DATABASES.append(location)


LMDB = Backend("lmdb", _folder, lambda location: LmdbWriter(Path(location) / LMDB_FOLDER), open_reader)

FILE = Backend("file", _file, open_file_writer, open_file_reader, no_processes=True)
PARQUET = replace(FILE, name="parquet", place=partial(_file, "store.parquet"))
"""Lines while it is written, so that the suite of `FILE` is its own; what it adds has tests of its own."""

MONGODB = Backend(
    "mongodb", _database, open_mongodb_writer, open_mongodb_reader, no_files=True, service="mongodb", one_in=4
)

SEGMENTS = Backend("segments", _network_folder, open_writer, open_reader, no_duplicates=True, one_in=4)
"""The same folders on a network file system; what the suite says of it beside LMDB has modules of its own."""

BACKENDS = {backend.name: backend for backend in (FILE, LMDB, MONGODB)}

IN_PROCESSES = {**BACKENDS, SEGMENTS.name: SEGMENTS}


def served(request: pytest.FixtureRequest, name: str) -> Backend:
    """Return a backend whose server, where it needs one, runs."""
    backend = BACKENDS[name]
    if backend.service is not None:
        SERVERS[backend.service] = request.getfixturevalue(backend.service)
    return backend
