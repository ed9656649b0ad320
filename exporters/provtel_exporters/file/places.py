"""Where a store that is a file lies: the file itself, and what was put aside of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

_SCHEME: Final = "file://"
_ASIDE: Final = re.compile(r"-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}(?:-\d+)?(?:-size)?")
_PACKED: Final = ("", ".gz", ".zst")


def path_of(location: str) -> Path:
    """Return the path that a location names."""
    text = unquote(location.removeprefix(_SCHEME)) if location.startswith(_SCHEME) else location
    return Path(text).expanduser().absolute()


def parts_of(path: Path) -> list[Path]:
    """Return the files that a store is in, the oldest first: what was put aside under names with a time, and itself.

    Both provtel and the OpenTelemetry Collector put files aside as ``NAME-TIME.EXTENSION``, and others compress them.
    """
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
