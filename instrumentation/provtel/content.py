"""Large values kept whole, where that is wanted: a file for each content in the store's folder, named by its hash.

``<store>/content/<first two digits>/<sha256>`` and an ending that says how it is written: ``.npy`` for arrays, ``.txt``
and ``.bin`` for text and bytes as they are, ``.msgpack`` for the form of lists, maps and instances. Nothing is pickled.
The same content is one file, whoever keeps it; a file is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from ormsgpack import packb, unpackb
from provtel_model.errors import StoreError
from provtel_model.hashing import SHA256_PREFIX, content_hash
from provtel_model.store_folder import find_store, make_store
from provtel_model.values import Reference, decode, encode_leaf

from provtel import notices

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_model.anyvalue import AnyValue

FOLDER: Final = "content"
TEXT: Final = ".txt"
BINARY: Final = ".bin"
ARRAY: Final = ".npy"
FORM: Final = ".msgpack"
_ENDINGS: Final = (TEXT, BINARY, ARRAY, FORM)
_RETRY_SECONDS: Final = 5.0
_FREE_SHARE: Final = 0.1
_SHARE_UNCOUNTED: Final = 0.05


class Content:
    """Keeps values in the store's folder; never raises.

    Args:
        largest: Of more bytes no value is kept.
        most: So many bytes are kept in all, by all processes; what others add meanwhile is seen with a delay.
    """

    def __init__(self, largest: int, most: int) -> None:
        """Prepare; nothing is written yet."""
        self.largest = largest
        self._most = most
        self._folder: Path | None = None
        self._room = 0
        self._retry_at = 0.0

    def keep(self, known: str | None, nbytes: int, ending: str, write: Callable[[BinaryIO], object]) -> str | None:
        """Keep content where it is not kept yet, and return its address; ``None`` where that cannot be.

        Args:
            known: Its hash; only whole content is kept.
            nbytes: Its size, as far as it is known.
            ending: How it is written.
            write: Writes it into a file.
        """
        if known is None or not known.startswith(SHA256_PREFIX) or nbytes > self.largest:
            return None
        if time.monotonic() < self._retry_at:
            notices.count_silently("content")
            return None
        try:
            return self._kept(known.removeprefix(SHA256_PREFIX), nbytes, ending, write).as_uri()
        except (OSError, StoreError) as error:
            self._folder, self._room = None, 0
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            where = f": {error.filename}" if isinstance(error, OSError) and error.filename else ""
            reason = f"{error.strerror}{where}" if isinstance(error, OSError) else error
            notices.say("content", f"large values are not kept for now: {reason}; records have their hashes as ever")
            return None

    def _kept(self, digits: str, nbytes: int, ending: str, write: Callable[[BinaryIO], object]) -> Path:
        folder = self._open() / digits[:2]
        path = folder / (digits + ending)
        if path.exists():
            return path
        self._take_room(nbytes)
        folder.mkdir(mode=0o700, exist_ok=True)
        draft = folder / f".{os.getpid()}-{os.urandom(6).hex()}"
        try:
            number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(number, "wb") as file:
                write(file)
            draft.rename(path)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        return path

    def _open(self) -> Path:
        if self._folder is None:
            store = find_store()
            make_store(store)
            folder = store / FOLDER
            folder.mkdir(mode=0o700, exist_ok=True)
            self._folder = folder
        return self._folder

    def _take_room(self, nbytes: int) -> None:
        # No lock, in which a forked child could hang: what two threads make of it together the next count puts right.
        self._room -= nbytes
        if self._room < 0:
            self._room = self._count_room() - nbytes
        if self._room < 0:
            msg = f"{self._folder} has its limit of {self._most} bytes, or the disk is nine tenths full"
            raise OSError(errno.EDQUOT, msg)

    def _count_room(self) -> int:
        """Return how many bytes may be written before it is counted again, so that what others write is seen too."""
        folder = self._open()
        used = sum(_size(entry) for part in os.scandir(folder) if part.is_dir() for entry in os.scandir(part))
        disk = os.statvfs(folder)
        free = int((disk.f_bavail - disk.f_blocks * _FREE_SHARE) * disk.f_frsize)
        left = min(self._most - used, free)
        return left if left <= self.largest else max(self.largest, int(left * _SHARE_UNCOUNTED))


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def load(reference: Reference, store: str | os.PathLike[str] | None = None) -> Any:
    """Return the value that a reference stands for, where its content was kept.

    A tensor comes back as an array, and an instance by its fields. What is read is compared with the reference's hash.

    Args:
        reference: From a record.
        store: The store folder whose content is asked where the reference's own address leads nowhere, as that of a
            store that was moved; by default the one that is found from the working folder.

    Raises:
        StoreError: The content was not kept, is gone, or is another one.
    """
    path = _place(reference, Path(store) if store is not None else find_store())
    try:
        value, known = _READERS[path.suffix](path)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise StoreError(f"the content of {reference.type} in {path} cannot be read: {error}") from None
    if known != reference.hash:
        raise StoreError(f"the content of {path} is not what its name says; it was changed or damaged, so delete it")
    return value


def _place(reference: Reference, store: Path) -> Path:
    if reference.hash is None or not reference.hash.startswith(SHA256_PREFIX):
        raise StoreError(f"the content of {reference.type} was not kept: only a sample of it is known, or nothing")
    with contextlib.suppress(TypeError):
        path = Path(reference)
        if path.suffix in _ENDINGS and path.is_file():
            return path
    digits = reference.hash.removeprefix(SHA256_PREFIX)
    for ending in _ENDINGS:
        path = store / FOLDER / digits[:2] / (digits + ending)
        if path.is_file():
            return path
    raise StoreError(f"the content of {reference.type} {reference.hash} was not kept in {store}, or is gone from there")


def _read_text(path: Path) -> tuple[str, str]:
    text = path.read_bytes().decode("utf-8", "surrogatepass")
    form: Any = encode_leaf(text)
    return text, content_hash(form)


def _read_binary(path: Path) -> tuple[bytes, str]:
    data = path.read_bytes()
    return data, content_hash(data)


def _read_array(path: Path) -> tuple[Any, str]:
    import numpy as np

    from provtel import arrays

    array = np.load(path, allow_pickle=False)
    return array, arrays.hash_of(array)


def _read_form(path: Path) -> tuple[Any, str]:
    form: AnyValue = unpackb(path.read_bytes())
    return decode(form), content_hash(form)


_READERS: Final[dict[str, Callable[[Path], tuple[Any, str]]]] = {
    TEXT: _read_text,
    BINARY: _read_binary,
    ARRAY: _read_array,
    FORM: _read_form,
}


def keep_form(content: Content, known: str, form: AnyValue) -> str | None:
    """Keep the form of a value whose hash is known, and return its address."""
    data = packb(form)
    return content.keep(known, len(data), FORM, lambda file: file.write(data))
