"""What a person types after --where, as a filter document."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import FilterError
from provtel_model.fields import FIELDS, TIME_FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONDITION: Final = re.compile(r"\s*([^=<>!~\s]+)\s*(>=|<=|!=|=|>|<|~)\s*(.*?)\s*", re.DOTALL)
_OPERATORS: Final = {"=": "$eq", "!=": "$ne", ">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte", "~": "$regex"}
_CLOSE: Final = 0.75
_TEXTS: Final = TIME_FIELDS | {
    *("id", "run", "trace_id", "span_id", "parent_id", "kind", "name", "status", "host"),
    *("workflow_id", "workflow_name", "campaign_id"),
}


def filter_of(conditions: Sequence[str]) -> dict[str, Any] | None:
    """Return the filter that all of several conditions make; ``None`` for no condition.

    Raises:
        FilterError: One is neither a condition nor a filter in JSON.
    """
    filters = [_filter(condition) for condition in conditions]
    if not filters:
        return None
    return filters[0] if len(filters) == 1 else {"$and": filters}


def _filter(condition: str) -> dict[str, Any]:
    if condition.lstrip().startswith("{"):
        return _json(condition)
    match = _CONDITION.fullmatch(condition)
    if match is None:
        raise FilterError(f"--where {condition!r} is no condition; write FIELD=VALUE, FIELD>VALUE or a filter in JSON")
    field, operator, value = match.groups()
    if field.partition(".")[0] not in FIELDS:
        near = get_close_matches(field, FIELDS, 1, _CLOSE)
        hint = (
            f"did you mean {near[0]!r}" if near else f"write used.{field} for an input, generated.{field} for an output"
        )
        raise FilterError(f"--where {condition!r}: no field is named {field!r}; {hint}")
    return {field: {_OPERATORS[operator]: value if field in _TEXTS or operator == "~" else _value(value)}}


def _json(condition: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(condition)
    except (ValueError, RecursionError) as error:
        raise FilterError(f"--where {condition!r} is no JSON: {error}") from None
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
