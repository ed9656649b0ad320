"""Several documents as one: maps merge, everything else is replaced, the later document wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provtel_collector_config.yaml_document import Document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provtel_collector_config.problems import Path, Place


def merge(documents: Iterable[Document]) -> Document:
    """Return one document; a list or a null replaces what an earlier document had there."""
    tree: Any = {}
    places: dict[Path, Place] = {}
    for document in documents:
        tree = _merged(tree, document.tree)
        places |= document.places
    return Document(tree, places)


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merged(old[key], value) if key in old else value for key, value in new.items()}}
    return new
