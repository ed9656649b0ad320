"""What ``--config`` names: a file, or a preset that ships with provtel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_collector_config.merging import merge
from provtel_collector_config.presets import presets
from provtel_collector_config.problems import InvalidConfigurationError, Place, Problem
from provtel_collector_config.yaml_document import SIZE_LIMIT, Document, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)


def read(sources: Iterable[str]) -> Document:
    """Return the documents that sources name, merged into one.

    Args:
        sources: ``PATH``, ``file:PATH`` or ``preset:NAME`` each; the later wins.

    Raises:
        InvalidConfigurationError: Some cannot be read; it tells of all of them.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            documents.append(_read(source))
        except InvalidConfigurationError as error:
            problems += error.problems
    if problems:
        raise InvalidConfigurationError(problems)
    return merge(documents)


def _read(source: str) -> Document:
    name, file = _locate(source)
    try:
        with file.open("rb") as opened:
            content = opened.read(4 * SIZE_LIMIT + 1)
    except OSError as error:
        raise InvalidConfigurationError([Problem(f"{name}: cannot be read: {error.strerror}")]) from None
    try:
        document = parse(content.decode(), name)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidConfigurationError([Problem("this is no UTF-8", place=Place(name, line))]) from None
    if document.tree is None:
        return Document({}, document.places)
    if not isinstance(document.tree, dict):
        raise InvalidConfigurationError([Problem("must be a map with sections", place=Place(name, 1))])
    return document


def _locate(source: str) -> tuple[str, Path]:
    """Return what to call a source, and its file."""
    matched = _SCHEME.fullmatch(source)
    if matched is None or Path(source).exists():
        return source, Path(source)
    scheme, rest = matched.groups()
    if scheme == "file":
        return rest, Path(rest)
    if scheme != "preset":
        message = f'scheme "{scheme}" is not supported for uri "{source}"; name a file or preset:NAME'
        raise InvalidConfigurationError([Problem(message)])
    known = presets()
    if rest not in known:
        message = f'there is no preset "{rest}" (valid values: [{" ".join(known)}])'
        raise InvalidConfigurationError([Problem(message)])
    return source, known[rest]
