"""The folder of segments: files that are whole when they bear their name, and are never changed afterwards.

=====================  ================================================================================================
file                   content
=====================  ================================================================================================
``identity``           a random name of this folder
``NAME.jsonl.zst``     a segment: records, data points and log records as lines of OTLP in JSON, compressed
``NAME.merged.json``   of which segments the segment `NAME` was merged, and which deletions were applied to them
``NAME.deleted.json``  a deletion: what is not to be read from the segments that it names
=====================  ================================================================================================

`NAME` begins with a time and has host, process and a random number in it, so that no two writers choose the same. A
name that begins with a dot is of a file that is being written.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import sys
import time
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, cast

from provtel_model.errors import StoreError
from provtel_model.journal.liveness import host_name
from provtel_model.otlp.files import lines
from provtel_model.store_folder import SEGMENTS_FOLDER

from provtel_exporters.file.reader import held
from provtel_exporters.lmdb.network.deletions import Deletion, Origin

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from provtel_exporters.file.contents import Contents

SEGMENT: Final = ".jsonl.zst"
_DELETION: Final = ".deleted.json"
_ORIGIN: Final = ".merged.json"
_IDENTITY: Final = "identity"
_NAMES: Final = re.compile(rf"[0-9a-f]{{16}}-[\w-]{{1,80}}({re.escape(SEGMENT)}|{re.escape(_DELETION)})")
_UNSAFE: Final = re.compile(r"[^a-zA-Z0-9-]")
_LONGEST_HOST: Final = 40
_READABLE: Final = 0o044
_NO_SYNC: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF})
_MOST_BYTES: Final = 2**30
_LEVEL: Final = 3
_OLD_SECONDS: Final = 24 * 3600


class GoneError(Exception):
    """A file that was listed is not there any more: others took its place."""


class Listing(NamedTuple):
    """The names that a folder has."""

    segments: frozenset[str]
    deletions: frozenset[str]


class SegmentFolder:
    """The folder of the segments of a store. May be used from several threads and processes, on several machines.

    Args:
        store: The store folder.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self.path = store / SEGMENTS_FOLDER
        self._deletions: dict[str, Deletion] = {}
        self._origins: dict[str, Origin] = {}

    def make(self) -> None:
        """Make the folder where it is missing; of several who do at once one succeeds, and all have the same.

        Raises:
            StoreError: It cannot be made.
        """
        if self.path.is_dir():
            return
        hidden = self.store / f".{SEGMENTS_FOLDER}-{secrets.token_hex(8)}"
        try:
            hidden.mkdir(mode=0o700)
            self._write(hidden / _IDENTITY, lambda file: file.write(secrets.token_hex(8).encode()))
            _sync(hidden)
            with contextlib.suppress(FileExistsError):
                hidden.rename(self.path)
            _sync(self.store)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise StoreError(f"the store {self.store} cannot be written: {error.strerror}") from None
        finally:
            shutil.rmtree(hidden, ignore_errors=True)

    def identity(self) -> str:
        """Return what tells this folder from others, a copy of it elsewhere not included.

        Raises:
            StoreError: It is no folder of segments, or cannot be read.
        """
        try:
            return (self.path / _IDENTITY).read_bytes()[:64].decode()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise StoreError(f"there is no store in {self.store}: {self.path / _IDENTITY}: {reason}") from None

    def listing(self) -> Listing:
        """Return what there is. The segments are listed first, so that all deletions from before them are there.

        Raises:
            StoreError: It cannot be read.
        """
        segments = frozenset(name for name in self._names() if name.endswith(SEGMENT))
        deletions = frozenset(name for name in self._names() if name.endswith(_DELETION))
        return Listing(segments, deletions)

    def read(self, name: str) -> Iterator[Contents | StoreError]:
        """Yield what each line of a segment holds, or what is wrong with it.

        Raises:
            GoneError: It is not there any more.
            StoreError: It cannot be read.
        """
        path = self.path / name
        try:
            with zstd.open(path) as unpacked:
                for entry in lines(cast("BinaryIO", unpacked)):
                    try:
                        yield held(path, entry)
                    except StoreError as error:
                        yield error
        except (EOFError, zstd.ZstdError) as error:
            yield StoreError(f"{path} is damaged: {error}")
        except OSError as error:
            raise self._failure(name, error) from None

    def deletion(self, name: str) -> Deletion:
        """Return what a deletion says.

        Raises:
            GoneError: It is not there any more.
            StoreError: It cannot be read.
        """
        if name not in self._deletions:
            self._deletions[name] = Deletion.of_json(name, self._json(name))
        return self._deletions[name]

    def origin(self, name: str) -> Origin:
        """Return what a segment was merged of; nothing where it was not.

        Raises:
            GoneError: It is not there any more.
            StoreError: It cannot be read.
        """
        if name not in self._origins:
            note = name.removesuffix(SEGMENT) + _ORIGIN
            if (self.path / note).exists():
                self._origins[name] = Origin.of_json(self._json(note))
            elif (self.path / name).exists():
                self._origins[name] = Origin()
            else:
                raise GoneError(name)
        return self._origins[name]

    def seal(self, content: Iterable[bytes], origin: Origin | None = None) -> str:
        """Add a segment; return its name when it is on the disk.

        Args:
            content: Its lines, each with its end.
            origin: What it is merged of, if it is.

        Raises:
            OSError: It cannot be written; nothing of it is there.
        """
        stem = _new_name()
        if origin is not None:
            self._add(stem + _ORIGIN, lambda file: file.write(origin.to_json()))
        try:
            self._add(stem + SEGMENT, lambda file: _compress(content, file))
        except BaseException:
            self._unlink(stem + _ORIGIN)
            raise
        return stem + SEGMENT

    def delete(self, deletion: Deletion) -> str:
        """Add a deletion; return its name when it is on the disk.

        Raises:
            OSError: It cannot be written; nothing of it is there.
        """
        name = _new_name() + _DELETION
        self._add(name, lambda file: file.write(deletion.to_json()))
        return name

    def remove(self, names: Iterable[str]) -> None:
        """Remove segments, or deletions.

        Raises:
            OSError: They cannot be removed.
        """
        for name in names:
            self._unlink(name)
            if name.endswith(SEGMENT):
                self._unlink(name.removesuffix(SEGMENT) + _ORIGIN)
        _sync(self.path)

    def tidy(self) -> None:
        """Remove what writers left who were killed at it a day ago or earlier."""
        with os.scandir(self.path) as found:
            for entry in found:
                with contextlib.suppress(OSError):
                    if _is_unfinished(entry.name) and entry.stat().st_mtime < time.time() - _OLD_SECONDS:
                        os.unlink(entry.path)  # noqa: PTH108  # an entry of the scan

    def size(self, name: str) -> int:
        """Return how many bytes a segment has.

        Raises:
            GoneError: It is not there any more.
            StoreError: It cannot be read.
        """
        try:
            return (self.path / name).stat().st_size
        except OSError as error:
            raise self._failure(name, error) from None

    def total_size(self) -> int:
        """Return how many bytes all that is in the folder has."""
        total = 0
        with os.scandir(self.path) as found:
            for entry in found:
                with contextlib.suppress(FileNotFoundError):
                    total += entry.stat().st_size
        return total

    def _names(self) -> list[str]:
        try:
            return [name for name in os.listdir(self.path) if _NAMES.fullmatch(name)]  # noqa: PTH208  # once a question
        except OSError as error:
            raise StoreError(f"the store {self.store} cannot be read: {error.strerror}") from None

    def _json(self, name: str) -> Any:
        path = self.path / name
        try:
            with path.open("rb") as file:
                return json.loads(file.read(_MOST_BYTES))
        except OSError as error:
            raise self._failure(name, error) from None
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{path} is damaged: {error}; put it back from a copy") from None

    def _failure(self, name: str, error: OSError) -> GoneError | StoreError:
        if isinstance(error, FileNotFoundError) or error.errno == errno.ESTALE:
            return GoneError(name)
        return StoreError(f"{self.path / name} cannot be read: {error.strerror or error}")

    def _add(self, name: str, write: Callable[[IO[bytes]], object]) -> None:
        hidden = self.path / f".{name}"
        try:
            self._write(hidden, write)
            hidden.rename(self.path / name)
        except BaseException:
            hidden.unlink(missing_ok=True)
            raise
        _sync(self.path)

    def _write(self, path: Path, write: Callable[[IO[bytes]], object]) -> None:
        with path.open("xb") as file:
            # Whoever may read the folder may read what comes into it.
            os.fchmod(file.fileno(), 0o600 | path.parent.stat().st_mode & _READABLE)
            write(file)
            file.flush()
            os.fsync(file.fileno())

    def _unlink(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


def _new_name() -> str:
    host = _UNSAFE.sub("-", host_name())[:_LONGEST_HOST] or "host"
    return f"{time.time_ns():016x}-{host}-{os.getpid()}-{secrets.token_hex(6)}"


def _is_unfinished(name: str) -> bool:
    return name.startswith(".") and name.endswith((SEGMENT, _DELETION, _ORIGIN))


def _compress(content: Iterable[bytes], file: IO[bytes]) -> None:
    with zstd.open(file, "wb", level=_LEVEL) as packed:
        for line in content:
            packed.write(line)


def _sync(folder: Path) -> None:
    """Have the names of a folder on the disk, where its file system can promise that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
