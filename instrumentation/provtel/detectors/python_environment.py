"""The distributions that this Python has, known by a hash; the list itself is kept once."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import sys
import time
from typing import TYPE_CHECKING, Final

from provtel_model import attributes as names
from provtel_model.hashing import SHA256_PREFIX
from provtel_model.journal.layout import Kind, pack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provtel_model.anyvalue import AnyValue

_METADATA: Final = re.compile(r"(.+?)-([^-]+?)(?:-py[\d.]+)?\.(?:dist|egg)-info", re.IGNORECASE)
_MARKS: Final = re.compile(r"[-_.]+")
_MOST: Final = 10_000


def detect() -> dict[str, AnyValue]:
    """Return the hash of `distributions`: two environments with the same names and versions have the same."""
    return {names.PROVTEL_PYTHON_ENVIRONMENT_HASH: SHA256_PREFIX + _digest(distributions())}


def mark(endpoint: str | None) -> str:
    """Return what marks that the list went to an endpoint, or into the store."""
    return f"environment-{_digest((*distributions(), endpoint or ''))}"


def listing() -> bytes:
    """Return the frame of a log record that has the list, and the hash that it goes by."""
    now = time.time_ns()
    attributes = {**detect(), names.PROVTEL_PYTHON_DISTRIBUTIONS: [*distributions()]}
    plain = {"time": now, "observed_at": now, "name": names.EVENT_PYTHON_ENVIRONMENT, "attributes": attributes}
    return pack([Kind.LOG.value, plain])


def distributions() -> tuple[str, ...]:
    """Return the distributions that can be imported from: ``name==version``, with names as PyPI compares them, sorted.

    It is read from the names of folders, as the importing machinery does: no metadata is opened.
    """
    return _distributions(tuple(sys.path))


def _digest(found: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(found).encode("utf-8", "replace")).hexdigest()


@functools.lru_cache(maxsize=1)
def _distributions(path: tuple[str, ...]) -> tuple[str, ...]:
    # The first in the path is the one that is imported.
    found: dict[str, str] = {}
    for folder in path:
        for name, version in sorted(_in_folder(folder)):
            if len(found) < _MOST:
                found.setdefault(name, version)
    return tuple(f"{name}=={version}" for name, version in sorted(found.items()))


def _in_folder(folder: str) -> Iterable[tuple[str, str]]:
    with contextlib.suppress(OSError):
        matches = [_METADATA.fullmatch(name) for name in os.listdir(folder or ".")]  # noqa: PTH208  # every start pays it
        return [(_MARKS.sub("-", match[1]).lower(), match[2]) for match in matches if match]
    return []
