"""Find what reads and what writes a kind of store, by its location."""

from __future__ import annotations

import os
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote

from provtel_model.errors import StoreError

if TYPE_CHECKING:
    from provtel_model.components import OpenReader, OpenWriter, Reader, Writer

READERS: Final = "provtel.readers"
WRITERS: Final = "provtel.writers"
FOLDER_SCHEME: Final = "lmdb"
FILE_SCHEME: Final = "file"
FILE_SUFFIXES: Final = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".jsonl.zst", ".json.zst", ".parquet")

_PASSWORDS: Final = re.compile(r"(?<=password=)[^&]*", re.IGNORECASE)


def scheme_of(location: str) -> str:
    """Return the kind of store that a location names: its scheme; ``file`` by its suffix; else that of folders."""
    if "://" in location:
        return location.partition("://")[0].partition("+")[0]
    is_file = location.lower().endswith(FILE_SUFFIXES) and not Path(location).expanduser().is_dir()
    return FILE_SCHEME if is_file else FOLDER_SCHEME


def shown(location: str) -> str:
    """Return a location as people may see it: without the user and the passwords that an address has."""
    scheme, found, rest = location.partition("://")
    if not found:
        return location
    authority, slash, path = rest.partition("/")
    host = f"***@{authority.rpartition('@')[2]}" if "@" in authority else authority
    return f"{scheme}://{_PASSWORDS.sub('***', host + slash + path)}"


def resolved(location: str) -> str:
    """Return a location as it is called from everywhere, so that two that are the same look so."""
    kind = scheme_of(location)
    if kind not in {FILE_SCHEME, FOLDER_SCHEME}:
        return location
    path = location.removeprefix(f"{kind}://")
    return os.path.realpath(Path(unquote(path) if path != location else location).expanduser())


def open_reader(location: str) -> Reader:
    """Open the store at a location for reading, as it is.

    Raises:
        StoreError: Nothing that is installed reads it, or it cannot be read.
    """
    return cast("OpenReader", _find(READERS, "reads", location))(location)


def open_writer(location: str) -> Writer:
    """Open the store at a location for writing, and make it where it is missing.

    Raises:
        StoreError: Nothing that is installed writes it, or it cannot be written.
    """
    return cast("OpenWriter", _find(WRITERS, "writes", location))(location)


def _find(group: str, does: str, location: str) -> Any:
    known = {point.name: point for point in entry_points(group=group)}
    scheme = scheme_of(location)
    if scheme not in known:
        raise StoreError(
            f"nothing here {does} {shown(location)!r}; known kinds of store are {', '.join(sorted(known))}"
        )
    return known[scheme].load()
