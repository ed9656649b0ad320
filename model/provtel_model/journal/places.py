"""Where journals are: in store folders, and on the list that each user's state folder keeps of them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from provtel_model.store_folder import JOURNAL_FOLDER

_REGISTER: Final = "provtel/journals"


def find_journals(store: Path) -> list[Path]:
    """Return the journal folders of a store folder; none where there is no store."""
    return _folders(store / JOURNAL_FOLDER)


def registered_journals() -> list[Path]:
    """Return the journal folders that this user's state folder knows and that can be seen from here."""
    try:
        entries = sorted(_register_folder().iterdir())
    except OSError:
        return []
    journals = map(_read_path, entries)
    return [journal for journal in journals if journal is not None and journal.is_dir()]


def register(journal: Path) -> None:
    """Put a journal on the list, so that a collector finds it wherever its store is; best effort."""
    with contextlib.suppress(OSError):
        folder = _register_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / journal.name).write_text(f"{journal.absolute()}\n", encoding="utf-8", errors="surrogateescape")


def unregister(journal: Path) -> None:
    """Take a journal off the list; best effort."""
    with contextlib.suppress(OSError):
        (_register_folder() / journal.name).unlink()


def _register_folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path("~/.local/state").expanduser()) / _REGISTER


def _read_path(entry: Path) -> Path | None:
    try:
        return Path(entry.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n"))
    except OSError:
        return None


def _folders(parent: Path) -> list[Path]:
    # A name with a leading dot is a journal that its writer has not finished making.
    try:
        with os.scandir(parent) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []
    return [parent / name for name in sorted(names)]
