"""How far a copy came, kept beside where it goes, so that the same copy goes on from there."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from provtel_model.errors import StoreError

from provtel_query.stores import FILE_SCHEME, FOLDER_SCHEME, scheme_of

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDS: Final = "records"
TELEMETRY: Final = "telemetry"


@dataclass(slots=True)
class State:
    """How far a copy came.

    Args:
        path: Where this is kept.
        phase: What is being copied.
        cursor: Behind which records come next.
        start: The start of the record there.
        processes: When the processes of the records that were copied ran them.
        stored: How many records were new or better so far.
        duplicates: How many records were there already.
    """

    path: Path
    phase: str = RECORDS
    cursor: str | None = None
    start: int | None = None
    processes: list[list[Any]] = field(default_factory=list)
    stored: int = 0
    duplicates: int = 0

    @classmethod
    def of(cls, source: str, target: str, where: Mapping[str, Any]) -> State:
        """Return the state of a copy: what an interrupted one left, else the beginning.

        Raises:
            StoreError: It cannot be read.
        """
        copied = json.dumps([source, target, where], sort_keys=True, default=str)
        path = _place(target, sha256(copied.encode()).hexdigest()[:16])
        try:
            return cls(path, **json.loads(path.read_text()))
        except FileNotFoundError:
            return cls(path)
        except (OSError, ValueError, TypeError) as error:
            raise StoreError(
                f"how far the copy came cannot be read; remove {path}, and it begins anew: {error}"
            ) from None

    @property
    def begun(self) -> bool:
        """Whether some of it was copied before."""
        return self.cursor is not None or self.phase != RECORDS

    def save(self) -> None:
        """Keep it on the disk.

        Raises:
            StoreError: It cannot be written.
        """
        plain = {name: value for name, value in asdict(self).items() if name != "path"}
        unfinished = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with unfinished.open("w") as file:
                json.dump(plain, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        except OSError as error:
            raise StoreError(f"how far the copy came cannot be kept in {self.path}: {error.strerror}") from None

    def forget(self) -> None:
        """Remove it: the copy is whole."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


def _place(target: str, name: str) -> Path:
    """Return where the state of a copy is: beside its target, or in this user's state folder where that is a server."""
    kind = scheme_of(target)
    if kind == FOLDER_SCHEME:
        return Path(target.removeprefix("lmdb://")).expanduser().absolute() / f"copy-{name}.json"
    if kind == FILE_SCHEME:
        path = Path(unquote(target.removeprefix("file://"))).expanduser().absolute()
        return path.with_name(f".{path.name}.copy-{name}.json")
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path("~/.local/state").expanduser()) / "provtel" / "copies" / f"{name}.json"
