"""Where the store is: the folder ``.provtel``, found upward from the working folder like a git folder.

A store folder holds ``journal/`` (one folder a process) and what was drained from there: ``lmdb/``, an index, or on a
network file system ``segments/``, of which every reader keeps an index elsewhere.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from provtel_model.errors import StoreError
from provtel_model.file_systems import on_network_file_system

FOLDER_NAME: Final = ".provtel"
STORE_VARIABLE: Final = "PROVTEL_STORE"
JOURNAL_FOLDER: Final = "journal"
LMDB_FOLDER: Final = "lmdb"
SEGMENTS_FOLDER: Final = "segments"


def find_store(start: Path | None = None) -> Path:
    """Return the store folder for a working folder; it need not exist.

    ``PROVTEL_STORE`` where it is set; else the nearest ``.provtel`` from `start` upward that this user owns; else
    ``.provtel`` in `start` itself.
    """
    named = os.environ.get(STORE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    folder = (start or Path.cwd()).absolute()
    for candidate in (folder, *folder.parents):
        if is_own_folder(candidate / FOLDER_NAME):
            return candidate / FOLDER_NAME
    return folder / FOLDER_NAME


def make_store(store: Path) -> None:
    """Make a store folder that only its user can enter; one that exists is checked.

    Raises:
        StoreError: It belongs to somebody else, others can write in it, it is no folder, or it cannot be made.
    """
    try:
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = store.stat()
    except OSError as error:
        msg = f"the store {store} cannot be made: {error.strerror}; name another by {STORE_VARIABLE}"
        raise StoreError(msg) from None
    if status.st_uid != os.geteuid():
        msg = f"the store {store} belongs to another user; name your own by {STORE_VARIABLE}"
        raise StoreError(msg)
    if stat.S_IMODE(status.st_mode) & 0o022:
        msg = f"the store {store} can be written by others; run: chmod go-w {store}"
        raise StoreError(msg)


def keeps_segments(store: Path) -> bool:
    """Say whether a store keeps segments: one that has some does wherever it is seen from.

    Raises:
        StoreError: What the environment says of file systems is not understood.
    """
    has_segments = os.path.isdir(store / SEGMENTS_FOLDER)  # noqa: PTH112  # where it may not be looked at, it has none
    return has_segments or on_network_file_system(store)


def holds_records(store: Path) -> bool:
    """Say whether anything was brought into a store yet."""
    return any((store / name).is_dir() for name in (LMDB_FOLDER, SEGMENTS_FOLDER))


def is_own_folder(path: Path) -> bool:
    """Say whether a path is a folder that this user owns."""
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
