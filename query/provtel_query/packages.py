"""The packages of Python that runs could import: each environment is listed once in a store, and known by a hash."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from provtel_model.attributes import (
    EVENT_PYTHON_ENVIRONMENT,
    PROVTEL_PYTHON_DISTRIBUTIONS,
    PROVTEL_PYTHON_ENVIRONMENT_HASH,
)
from provtel_model.telemetry import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.components import Reader

_MARKS: Final = re.compile(r"[-_.]+")


def environments(reader: Reader) -> dict[str, dict[str, str]]:
    """Return the environments that are listed in a store: by their hash, the version of each package by its name."""
    found: dict[str, dict[str, str]] = {}
    for line in reader.logs(Window(name=EVENT_PYTHON_ENVIRONMENT)):
        says = line.get("attributes", {})
        digest, listed = says.get(PROVTEL_PYTHON_ENVIRONMENT_HASH), says.get(PROVTEL_PYTHON_DISTRIBUTIONS)
        if isinstance(digest, str) and isinstance(listed, list):
            pairs = (str(distribution).partition("==") for distribution in listed)
            found[digest] = {package_name(name): version for name, _, version in pairs}
    return found


def package_name(name: str) -> str:
    """Return the name of a package as PyPI compares it."""
    return _MARKS.sub("-", name).lower()


def changed_packages(
    known: Mapping[str, Mapping[str, str]], before: Iterable[AnyValue], after: Iterable[AnyValue]
) -> dict[str, tuple[Sequence[str], Sequence[str]]]:
    """Return which versions some environments and others have of each package that is not the same in both.

    Args:
        known: What `environments` returns. Where it lacks one of those that are compared, nothing can be said.
        before: Hashes of the first environments.
        after: Hashes of the others.
    """
    old, new = [*before], [*after]
    if not all(isinstance(digest, str) and digest in known for digest in (*old, *new)):
        return {}
    left, right = _versions(known, old), _versions(known, new)
    names = sorted({*left, *right})
    return {name: pair for name in names if (pair := (left.get(name, []), right.get(name, [])))[0] != pair[1]}


def _versions(known: Mapping[str, Mapping[str, str]], hashes: Iterable[AnyValue]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for digest in hashes:
        for name, version in known[str(digest)].items():
            found.setdefault(name, set()).add(version)
    return {name: sorted(versions) for name, versions in found.items()}
