"""Files that are put aside, and removed when they are many or old."""

from __future__ import annotations

import contextlib
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_exporters.file.config import RotationConfig

_MIB: Final = 2**20
_DEFAULT_MEGABYTES: Final = 100
_DAY_SECONDS: Final = 86_400
_TIME: Final = re.compile(r"-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}(?:-\d+)?-size")


class Rotation:
    """Puts files aside under the names that the OpenTelemetry Collector gives them: ``NAME-TIME-size.EXTENSION``.

    Args:
        config: What the user wrote.
    """

    def __init__(self, config: RotationConfig) -> None:
        self._config = config
        self._most = (config.max_megabytes or _DEFAULT_MEGABYTES) * _MIB

    def is_due(self, size: int) -> bool:
        """Say whether a file is not to grow to a size."""
        return size > self._most

    def put_aside(self, path: Path) -> None:
        """Rename a file, and remove those before it that are too many or too old.

        Raises:
            OSError: It cannot be renamed.
        """
        path.rename(self._free_name(path))
        self._clean(path)

    def _free_name(self, path: Path) -> Path:
        now = datetime.now(None if self._config.localtime else UTC)
        shown = f"{now:%Y-%m-%dT%H-%M-%S}.{now.microsecond // 1000:03}"
        number = 0
        while True:
            again = f"-{number}" if number else ""
            name = path.with_name(f"{path.stem}-{shown}{again}-size{path.suffix}")
            if not name.exists():
                return name
            number += 1

    def _clean(self, path: Path) -> None:
        aside = sorted(self.aside(path), key=lambda one: one.stat().st_mtime_ns)
        doomed = aside[: -self._config.max_backups] if self._config.max_backups else []
        if self._config.max_days:
            oldest = time.time() - self._config.max_days * _DAY_SECONDS
            doomed += [one for one in aside if one.stat().st_mtime < oldest]
        for one in doomed:
            with contextlib.suppress(OSError):
                one.unlink(missing_ok=True)

    def aside(self, path: Path) -> list[Path]:
        """Return the files that were put aside of a file."""
        beginning, end = path.stem, path.suffix
        return [
            one
            for one in path.parent.iterdir()
            if one.name.startswith(beginning)
            and one.name.endswith(end)
            and _TIME.fullmatch(one.name[len(beginning) : len(one.name) - len(end)])
        ]
