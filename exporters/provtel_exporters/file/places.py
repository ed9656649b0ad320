"""Where a store that is a file lies: the file itself, and what was put aside of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

PARQUET: Final = ".parquet"
_TABLES: Final = (PARQUET, f".points{PARQUET}", f".logs{PARQUET}")
_SCHEME: Final = "file://"
_ASIDE: Final = re.compile(r"-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}(?:-\d+)?(?:-size)?")
_PACKED: Final = ("", ".gz", ".zst")


def pending_of(path: Path) -> Path:
    """Return where a store of Parquet is while it is written."""
    return path.with_name(f".{path.name}.pending.jsonl")


def path_of(location: str) -> Path:
    """Return the path that a location names."""
    text = unquote(location.removeprefix(_SCHEME)) if location.startswith(_SCHEME) else location
    return Path(text).expanduser().absolute()


def parts_of(path: Path) -> list[Path]:
    """Return the files that a store is in, the oldest first: what was put aside under names with a time, and itself.

    A store of Parquet is in its tables or, while it is written, in lines beside them that have all of it.

    Both provtel and the OpenTelemetry Collector put files aside as ``NAME-TIME.EXTENSION``, and others compress them.
    """
    if path.suffix == PARQUET:
        pending = pending_of(path)
        return [pending] if pending.exists() else [one for end in _TABLES if (one := path.with_suffix(end)).exists()]
    stem, suffix = path.stem, path.suffix
    aside: list[tuple[str, Path]] = []
    if path.parent.is_dir():
        for one in path.parent.iterdir():
            for packed in _PACKED:
                end = suffix + packed
                if one.name.startswith(stem) and one.name.endswith(end):
                    time = one.name[len(stem) : len(one.name) - len(end)]
                    if _ASIDE.fullmatch(time):
                        aside.append((time, one))
    parts = [one for _, one in sorted(aside)]
    return [*parts, path] if path.exists() else parts
