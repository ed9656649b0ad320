"""Where indexes of stores on network file systems lie: on a disk of this machine, each in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Final

from provtel_model.errors import StoreError
from provtel_model.file_systems import on_network_file_system
from provtel_model.store_folder import make_store

VARIABLE: Final = "PROVTEL_CACHE"
"""Names the folder for indexes."""
_FOLDER: Final = "provtel"


def index_folder(store: Path, identity: str) -> Path:
    """Return the folder of the index of a store, made where it is missing; only its user can enter it.

    It lies in the folder that `VARIABLE` names; else in the user's cache folder; else, where that is on a network file
    system too, in the system's folder for temporary files.

    Args:
        store: The store folder.
        identity: What tells its segments from others at the same place.

    Raises:
        StoreError: None of these can be used; the text says what to do.
    """
    name = blake2b(f"{os.path.realpath(store)} {identity}".encode(errors="surrogateescape"), digest_size=12).hexdigest()
    folder = _root() / name
    try:
        make_store(folder.parent)
        make_store(folder)
    except StoreError as error:
        raise StoreError(
            f"the index of {store} cannot be kept in {folder.parent}, which cannot be made or written, or is not yours "
            f"alone; name another folder by {VARIABLE}"
        ) from error
    return folder


def _root() -> Path:
    named = os.environ.get(VARIABLE)
    if named:
        root = Path(named).expanduser().absolute() / "indexes"
        if on_network_file_system(root):
            raise StoreError(
                f"{VARIABLE} names {named}, on a network file system; name a folder on a disk of this machine"
            )
        return root
    # A symlink in a folder that everybody writes to may be anybody's.
    temporary = Path(tempfile.gettempdir()) / f"{_FOLDER}-{os.geteuid()}"
    for root in (_user_cache() / _FOLDER, temporary):
        if not on_network_file_system(root) and not root.is_symlink():
            return root / "indexes"
    raise StoreError(
        f"there is no place for an index: {_user_cache()} and {temporary.parent} are on network file systems; name a "
        f"folder on a disk of this machine by {VARIABLE}"
    )


def _user_cache() -> Path:
    named = os.environ.get("XDG_CACHE_HOME", "")
    if Path(named).is_absolute():
        return Path(named)
    with contextlib.suppress(RuntimeError):
        return Path.home() / ".cache"
    return Path("/nonexistent")
