"""The fields of a record that repeat a part of its resource, so that filters are short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from provtel_model import attributes as names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.anyvalue import AnyValue

_FIELDS: Final[dict[str, tuple[str, type]]] = {
    names.HOST_NAME: ("host", str),
    names.PROCESS_PID: ("pid", int),
    names.MPI_RANK: ("rank", int),
}


def fields_of(resource: Mapping[str, AnyValue]) -> dict[str, Any]:
    """Return the fields that a resource gives a record; an attribute of another type than the registry's gives none."""
    found = ((key, resource.get(name), kind) for name, (key, kind) in _FIELDS.items())
    return {key: value for key, value, kind in found if type(value) is kind}
