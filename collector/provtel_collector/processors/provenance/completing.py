"""Edits of the attributes of an activity; each returns whether it changed them.

Most activities need none, and that is seen by their keys alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from provtel_model import attributes as names

from provtel_collector.attribute_lists import get, put
from provtel_collector.requests import drop

if TYPE_CHECKING:
    from provtel_collector.processors.provenance.activities import Activity

_DATA: Final = (names.PROV_USED, names.PROV_GENERATED)
_PREFIXES: Final = tuple(f"{name}." for name in _DATA)
_RENAMED: Final = {
    names.CODE_FUNCTION: names.CODE_FUNCTION_NAME,
    names.CODE_FILEPATH: names.CODE_FILE_PATH,
    names.CODE_LINENO: names.CODE_LINE_NUMBER,
}


def nest(activity: Activity) -> bool:
    """Join roles that came one by one into the map of all; where both say a role, the one by one counts."""
    if not any(key.startswith(_PREFIXES) for key in activity.values):
        return False
    nested = [_nest(activity.attributes, name) for name in _DATA]
    return any(nested)


def flatten(activity: Activity) -> bool:
    """Put each role of a map as an attribute of its own, in place of the map."""
    flattened = [_flatten(activity.attributes, name) for name in _DATA if name in activity.values]
    return any(flattened)


def complete_plan(activity: Activity) -> bool:
    """Put the function, the file and the line under the names of today, beside the older ones."""
    lacking = [old for old in _RENAMED.keys() & activity.values.keys() if _RENAMED[old] not in activity.values]
    for old in lacking:
        put(activity.attributes, _RENAMED[old]).CopyFrom(get(activity.attributes, old))
    return bool(lacking)


def _nest(attributes: Any, name: str) -> bool:
    prefix = f"{name}."
    single = [pair for pair in attributes if pair.key.startswith(prefix) and len(pair.key) > len(prefix)]
    if not single:
        return False
    target = put(attributes, name)
    if not target.HasField("kvlist_value"):
        target.kvlist_value.SetInParent()
    for pair in single:
        put(target.kvlist_value.values, pair.key[len(prefix) :]).CopyFrom(pair.value)
    keys = {pair.key for pair in single}
    return drop(attributes, lambda pair: pair.key in keys)


def _flatten(attributes: Any, name: str) -> bool:
    found = get(attributes, name)
    if found is None or not found.HasField("kvlist_value"):
        return False
    for pair in found.kvlist_value.values:
        put(attributes, f"{name}.{pair.key}").CopyFrom(pair.value)
    return drop(attributes, lambda pair: pair.key == name)
