"""Connections to MongoDB: one client for each address and process, shared, made after a fork."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bson.errors import InvalidDocument
from provtel_model.errors import PermanentError, RetryableError, StoreError
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DocumentTooLarge, OperationFailure, PyMongoError
from pymongo.uri_parser import split_options

from provtel_exporters.mongodb.address import DEFAULT_DATABASE, Address
from provtel_exporters.mongodb.documents import CODEC

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_APP_NAME: Final = "provtel"
_SELECTION_MS: Final = 10_000

# What a server says of one document, and would say of it again.
_REFUSED_DOCUMENT: Final = frozenset({2, 9, 14, 15, 22, 40, 52, 53, 56, 57, 121, 5091, 10334, 13134, 17280, 31249})
DUPLICATE: Final = 11000


class Connection:
    """One user's hold on the client of an address; the last one who lets go closes it.

    Args:
        address: Where to.

    Raises:
        UserError: pymongo is not installed.
        StoreError: The address is none, or a file that it names cannot be used.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._closed = False
        self._shared = _acquire(address)

    @property
    def database(self) -> Database[dict[str, Any]]:
        """The database, by a client that this process made.

        Raises:
            StoreError: The connection was closed.
        """
        if self._closed:
            raise StoreError(f"the store {self.address} was closed")
        if self._shared.process != os.getpid():
            self._shared = _acquire(self.address)
        return self._shared.database

    def close(self) -> None:
        """Let go; safe to call twice."""
        if not self._closed:
            self._closed = True
            _release(self.address, self._shared)


@dataclass
class _Shared:
    client: MongoClient[dict[str, Any]]
    database: Database[dict[str, Any]]
    process: int = field(default_factory=os.getpid)
    users: int = 0


_registry: Final[dict[Address, _Shared]] = {}
# A client of another process is not closed, which would speak on that one's sockets, nor collected, which would warn.
_inherited: Final[list[_Shared]] = []
_locks: Final[dict[int, threading.Lock]] = {}


def _lock() -> threading.Lock:
    """Return this process's lock: one that is copied by a fork may be held by a thread that is not there."""
    return _locks.setdefault(os.getpid(), threading.Lock())


def _acquire(address: Address) -> _Shared:
    with _lock():
        shared = _registry.get(address)
        if shared is not None and shared.process != os.getpid():
            _inherited.append(shared)
            shared = None
        if shared is None:
            shared = _registry[address] = _connect(address)
        shared.users += 1
        return shared


def _release(address: Address, shared: _Shared) -> None:
    if shared.process != os.getpid():
        return
    with _lock():
        shared.users -= 1
        if not shared.users:
            _registry.pop(address, None)
            shared.client.close()


def _connect(address: Address) -> _Shared:
    try:
        return _open(address)
    except (PyMongoError, ValueError, TypeError, OSError) as error:
        said = "" if "@" in address.uri or address.options else f": {error}"  # it may repeat what it was given
        if isinstance(error, OSError) and error.filename:
            said = f": {error.filename}: {error.strerror}"
        raise StoreError(f"{address} is no address of a MongoDB that can be used{said or _reason(error)}") from None


def _reason(error: Exception) -> str:
    """Return what went wrong as far as that repeats nothing of the address."""
    return f": pymongo's {type(error).__name__}; is every sign of its name and password quoted as in a URL?"


def _open(address: Address) -> _Shared:
    # What the address says comes before our defaults, and what a configuration says before both.
    # pymongo's parse_uri would ask for a mongodb+srv:// by DNS, which may be away when a collector starts.
    query = address.uri.partition("?")[2]
    said = {name.lower() for name in split_options(query, warn=False)} if query else set()
    defaults: dict[str, Any] = {
        "appname": _APP_NAME,
        "serverSelectionTimeoutMS": _SELECTION_MS,
        "w": "majority",
        "journal": True,
        "readConcernLevel": "majority",
    }
    options = {name: value for name, value in defaults.items() if name.lower() not in said}
    arguments = {**options, **dict(address.options)}
    client: MongoClient[dict[str, Any]] = MongoClient(address.uri, document_class=dict, connect=False, **arguments)
    database = address.database or client.get_default_database(DEFAULT_DATABASE).name
    return _Shared(client, client.get_database(database, codec_options=CODEC))


@contextmanager
def reading(address: Address) -> Iterator[None]:
    """Turn what goes wrong while a store is read into an error that says what to do.

    Raises:
        StoreError: It cannot be read.
    """
    try:
        yield
    except PyMongoError as error:
        raise StoreError(f"the store {address} cannot be read: {told(error)}") from error


@contextmanager
def writing(address: Address) -> Iterator[None]:
    """Turn what goes wrong while a store is written into what a `Writer` raises.

    Raises:
        RetryableError: It may succeed later.
        PermanentError: A document is one that no server takes.
    """
    try:
        yield
    except (DocumentTooLarge, InvalidDocument) as error:
        raise PermanentError(f"a document cannot be stored: {told(error)}") from error
    except BulkWriteError as error:
        raise RetryableError(f"the store {address} cannot be written: {told(error)}") from error
    except OperationFailure as error:
        if error.code in _REFUSED_DOCUMENT:
            raise PermanentError(f"a document is refused: {told(error)}") from error
        raise RetryableError(f"the store {address} cannot be written: {told(error)}") from error
    except PyMongoError as error:
        raise RetryableError(f"the store {address} cannot be written: {told(error)}") from error


def refusals(write_errors: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Return why a server refuses documents for what they are, by their places; without its other errors."""
    return {each["index"]: _text(each) for each in write_errors if each.get("code") in _REFUSED_DOCUMENT}


def told(error: Exception) -> str:
    """Return what an error says, without the documents in it."""
    if isinstance(error, BulkWriteError):
        first: Mapping[str, Any] = next(iter([*error.details["writeErrors"], *error.details["writeConcernErrors"]]), {})
        return _text(first) or "a bulk write failed"
    return str(error).partition(", full error:")[0].partition(", Timeout:")[0][:_SAID]


_SAID: Final = 500


def _text(error: Mapping[str, Any]) -> str:
    return str(error.get("errmsg", ""))[:_SAID]
