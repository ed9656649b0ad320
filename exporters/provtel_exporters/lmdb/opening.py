"""Open a store folder for reading or writing: LMDB files, or sealed segments where the disk is another machine's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provtel_model.errors import StoreError
from provtel_model.file_systems import VARIABLE
from provtel_model.store_folder import JOURNAL_FOLDER, LMDB_FOLDER, SEGMENTS_FOLDER, keeps_segments, make_store

from provtel_exporters.lmdb.files import DATA_FILE
from provtel_exporters.lmdb.reader import LmdbReader
from provtel_exporters.lmdb.writer import LmdbWriter

if TYPE_CHECKING:
    from provtel_model.components import Reader, Writer


def open_reader(location: str) -> Reader:
    """Open a store folder for reading; an entry point of ``provtel.readers``.

    Raises:
        StoreError: There is no store that this user can read; the text says what was found.
    """
    store = _folder(location)
    if keeps_segments(store):
        from provtel_exporters.lmdb.network import SegmentReader

        _refuse_lost_index(store)
        if (store / SEGMENTS_FOLDER).is_dir():
            return SegmentReader(store)
        raise StoreError(f"there is no store in {store}: {_what_is_there(store)}")
    if not (store / LMDB_FOLDER / DATA_FILE).exists():
        raise StoreError(f"there is no store in {store}: {_what_is_there(store)}")
    return LmdbReader(store / LMDB_FOLDER)


def _what_is_there(store: Path) -> str:
    try:
        names = sorted(entry.name for entry in store.iterdir())
    except FileNotFoundError:
        return "the folder does not exist; record something first, or name another store by PROVTEL_STORE"
    except OSError as error:
        return f"the folder cannot be read ({error.strerror}); ask its owner"
    if JOURNAL_FOLDER in names:
        return "nothing of its journals was brought into it yet; provtel.connect() and every provtel command do that"
    if DATA_FILE in names:
        return f"this is the {LMDB_FOLDER} folder of a store; name the folder above it"
    found = ", ".join(names[:5]) or "nothing"
    return f"it holds {found}, and no {LMDB_FOLDER}/{DATA_FILE}; name another store by PROVTEL_STORE"


def open_writer(location: str) -> Writer:
    """Open a store folder for writing, and make it where it is missing; an entry point of ``provtel.writers``.

    Raises:
        StoreError: It cannot be made or written, or is not this user's alone.
    """
    store = _folder(location)
    make_store(store)
    if keeps_segments(store):
        from provtel_exporters.lmdb.network import SegmentWriter

        _refuse_lost_index(store)
        return SegmentWriter(store)
    return LmdbWriter(store / LMDB_FOLDER)


def _folder(location: str) -> Path:
    return Path(location.removeprefix("lmdb://")).expanduser().absolute()


def _refuse_lost_index(store: Path) -> None:
    """Refuse a store on a network file system that has LMDB files: what is in them would be missing in silence."""
    if (store / LMDB_FOLDER / DATA_FILE).exists():
        raise StoreError(
            f"{store} is a store on a network file system, and has records in {LMDB_FOLDER}/, which must not be mapped "
            f"there; while nobody uses it, move {LMDB_FOLDER}/ into a folder on a disk of this machine, and bring its "
            f"records back by provtel copy; where the disk is this machine's after all, say {VARIABLE}={store}=local"
        )
