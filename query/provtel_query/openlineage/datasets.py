"""Datasets of OpenLineage: where data lie, as namespace and name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

from provtel_model.anyvalue import TYPE_KEY
from provtel_model.values import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.anyvalue import AnyValue

CONTENT: Final = "urn:provtel:content"
"""The namespace of what is known by its content alone; the name is its hash."""
_FILE: Final = "file"


def is_dataset(value: AnyValue) -> bool:
    """Say whether a value is a dataset: a reference that says where its content is, or which content it is."""
    return (
        isinstance(value, dict) and value.get(TYPE_KEY) == "reference" and bool(value.get("uri") or value.get("hash"))
    )


def name_of(reference: Mapping[str, AnyValue]) -> tuple[str, str]:
    """Return the namespace and the name of a reference, as OpenLineage's naming has them."""
    uri = reference.get("uri")
    if not isinstance(uri, str) or not uri:
        return CONTENT, str(reference["hash"])
    parts = urlsplit(uri)
    if parts.scheme == _FILE and not parts.netloc:
        return _FILE, unquote(parts.path)
    if parts.scheme and parts.netloc:
        rest = uri.removeprefix(f"{parts.scheme}://{parts.netloc}")
        return f"{parts.scheme}://{parts.netloc}", rest.lstrip("/") or "/"
    return _FILE, uri


def reference_of(dataset: Mapping[str, Any], version: str | None) -> dict[str, AnyValue]:
    """Return a dataset as a reference, with a content hash where its version is one."""
    namespace, name = dataset["namespace"], dataset["name"]
    is_file = namespace == _FILE
    uri = f"{namespace.rstrip('/')}/{name}"
    if is_file:
        uri = f"file://{quote(name)}" if name.startswith("/") else name
    known = version if version and version.startswith("sha256:") else None
    if namespace == CONTENT:
        return Reference("dataset", hash=name).to_value()
    return Reference("file" if is_file else "dataset", hash=known, uri=uri).to_value()
