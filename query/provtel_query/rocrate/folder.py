"""The folder of a crate."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model.anyvalue import TYPE_KEY
from provtel_model.errors import UserError
from provtel_model.hashing import SHA256_PREFIX
from provtel_model.values import Reference

from provtel_query.rocrate.metadata import METADATA, Graph, describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import Record

_WORKFLOW: Final = "workflow"
_OUTLINE: Final = "workflow.json"
_DATA: Final = "data"
LICENCE: Final = "No licence is given; ask whoever ran it."


@dataclass(frozen=True, slots=True)
class Crate:
    """What was written.

    Args:
        folder: The crate.
        entities: How many things its metadata describe.
        files: How many files of data were copied into it.
        changed: Places of files that are not what they were at the run any more, or gone, and so were not copied.
    """

    folder: Path
    entities: int
    files: int
    changed: tuple[str, ...]


def write_crate(
    records: Sequence[Record], folder: Path, *, name: str | None = None, licence: str = LICENCE, copy: bool = False
) -> Crate:
    """Write a run as a crate, whole or not at all.

    Args:
        records: The run, oldest first; not empty.
        folder: Where; must not exist yet.
        name: What the crate is called; by default after the run's workflow.
        licence: What may be done with it.
        copy: Copy the files that were used and generated into it, where they are what they were.

    Raises:
        UserError: The folder exists, or cannot be written.
    """
    if folder.exists():
        raise UserError(f"{folder} exists already; name a folder that does not, or remove it")
    main = next((record for record in records if record.kind == _WORKFLOW), None)
    title = name or (main.name if main else f"run {records[0].run}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from None
    try:
        inside, changed = _copy_data(records, unfinished) if copy else ({}, ())
        program = _write_program(records, main, unfinished)
        document = describe(records, Graph(inside), program, name=title, licence=licence)
        (unfinished / METADATA).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        unfinished.chmod(0o777 & ~_umask())
        unfinished.rename(folder)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise UserError(f"{folder} cannot be written: {error.strerror}") from None
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return Crate(folder, len(document["@graph"]), len(set(inside.values())), changed)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _write_program(records: Sequence[Record], main: Record | None, folder: Path) -> str:
    """Put the program of the workflow into the crate; where it is not here, an outline of its steps."""
    plan = main.plan if main else None
    source = Path(plan.file) if plan and plan.file else None
    if source is not None and source.suffix == ".py" and source.is_file():
        shutil.copyfile(source, folder / source.name)
        return source.name
    steps = dict.fromkeys(record.name for record in records if record is not main)
    outline = {"workflow": main.name if main else None, "steps": list(steps)}
    (folder / _OUTLINE).write_text(json.dumps(outline, indent=1, ensure_ascii=False) + "\n")
    return _OUTLINE


def _copy_data(records: Iterable[Record], folder: Path) -> tuple[dict[tuple[str, str], str], tuple[str, ...]]:
    """Copy the files that are what they were; return where each content of a place now is, and what was left out."""
    inside: dict[tuple[str, str], str] = {}
    changed: dict[str, None] = {}
    for place, known in dict.fromkeys(_files_of(records)):
        source = Path(os.fspath(Reference("file", uri=place)))
        if not source.is_file() or _hash_of(source) != known:
            changed[place] = None
            continue
        digest = known.removeprefix(SHA256_PREFIX)
        target = Path(_DATA) / f"{digest[:12]}-{source.name}"
        (folder / _DATA).mkdir(exist_ok=True)
        shutil.copyfile(source, folder / target)
        inside[place, known] = target.as_posix()
    return inside, tuple(changed)


def _files_of(records: Iterable[Record]) -> Iterator[tuple[str, str]]:
    for record in records:
        for values in (record.plain.get("used", {}), record.plain.get("generated", {})):
            for value in values.values():
                yield from _file(value)


def _file(value: AnyValue) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value.get(TYPE_KEY) == "reference" and value.get("type") == "file":
        place, known = value.get("uri"), value.get("hash")
        if isinstance(place, str) and place.startswith("file://") and isinstance(known, str):
            yield place, known


def _hash_of(path: Path) -> str:
    with path.open("rb") as stream:
        return SHA256_PREFIX + hashlib.file_digest(stream, "sha256").hexdigest()
