"""Several documents as one: maps merge, everything else is replaced, the later document wins."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from provtel_collector_config.yaml_document import Document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provtel_collector_config.problems import Path, Place

_DELIMITER: Final = "::"


def merge(documents: Iterable[Document]) -> Document:
    """Return one document; a list or a null replaces what an earlier document had there."""
    tree: Any = {}
    places: dict[Path, Place] = {}
    for document in documents:
        tree = _merged(tree, document.tree)
        places |= document.places
    return Document(tree, places)


def with_maps_for_paths(document: Document) -> Document:
    """Return a document in which each key ``a::b`` is a key ``b`` in a map ``a``, at any depth but not in lists."""
    places = {_split(path): place for path, place in document.places.items()}
    return Document(_nested(document.tree), places)


def _nested(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    result: Any = {}
    for key, item in value.items():
        inner = _nested(item)
        for step in reversed(key.split(_DELIMITER)):
            inner = {step: inner}
        result = _merged(result, inner)
    return result


def _split(path: Path) -> Path:
    keys = tuple(takewhile(lambda step: isinstance(step, str), path))
    return tuple(part for key in keys for part in str(key).split(_DELIMITER)) + path[len(keys) :]


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merged(old[key], value) if key in old else value for key, value in new.items()}}
    return new
