"""Plain values to plain dataclasses, strictly, with the path of everything that does not fit.

pydantic does the work; the dataclasses need not know it. A key that the dataclass lacks is refused, ``"5"`` is no
integer, a null is as good as absent, ``key:`` with nothing after it is an empty map where a map is expected, and
``a,b`` is a list where a list of texts is.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_args, get_type_hints

from provtel_model.settings import Secret
from pydantic import TypeAdapter, ValidationError

from provtel_collector_config.keys import is_list_of_texts, is_map, without_none
from provtel_collector_config.problems import Path, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_T = TypeVar("_T")

_EXPECTED: Final = {
    "bool_type": "boolean",
    "dataclass_type": "map",
    "dict_type": "map",
    "float_type": "number",
    "int_type": "integer",
    "list_type": "list",
    "string_type": "string",
    "tuple_type": "list",
}
_GIVEN: Final[dict[type, str]] = {
    bool: "boolean",
    dict: "map",
    float: "number",
    int: "integer",
    list: "list",
    str: "string",
    type(None): "null",
}


def load_dataclass(
    kind: type[_T], value: Any, path: Path = (), originals: Mapping[Path, str] | None = None
) -> tuple[_T | None, list[Problem]]:
    """Return an instance of a dataclass, or None and why there is none.

    Args:
        kind: The dataclass.
        value: What the document has for it.
        path: Where the document has it.
        originals: The texts of values that a substitution turned into something else; where such a value does not
            fit, its text may.
    """
    filled = _filled(kind, value)
    found = _validate(kind, filled)
    if isinstance(found, list) and originals:
        texts = {
            error["loc"]: originals[*path, *error["loc"]] for error in found if (*path, *error["loc"]) in originals
        }
        for place, text in texts.items():
            filled = _replaced(filled, place, text)
        found = _validate(kind, filled) if texts else found
    if isinstance(found, list):
        return None, [*_unknown_keys(kind, found, path), *_unfit(found, path)]
    return found, []


def _adapter(kind: Any) -> TypeAdapter[list[Any]]:
    # In a list, because an adapter of a dataclass itself takes no configuration but that of the dataclass.
    return TypeAdapter(list[kind], config={"extra": "forbid", "strict": True})


def _validate(kind: type[_T], value: Any) -> _T | list[Any]:
    try:
        # As JSON, because a strict adapter makes a dataclass only from JSON, never from a dict.
        (made,) = _adapter(kind).validate_json(json.dumps([value]))
        return cast("_T", made)
    except ValidationError as error:
        return [{**one, "loc": one["loc"][1:]} for one in error.errors(include_url=False)]


def _filled(kind: Any, value: Any) -> Any:
    """Return a value as its kind wants it.

    A null is an empty map where a map is expected, and left out where a default stands in; ``1e3`` is an integer; a
    text with commas is a list of texts.
    """
    kind = without_none(kind)
    if value is None and is_map(kind):
        return {}
    if isinstance(value, dict) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        kept = {key: item for key, item in value.items() if item is not None or is_map(hints.get(key, dict))}
        return {key: _filled(hints.get(key), item) for key, item in kept.items()}
    inner = get_args(kind) or (None,)
    if inner[-1] is Secret and isinstance(value, list) and is_map(kind):
        value = _as_map(value)
    if isinstance(value, dict):
        return {key: _filled(inner[-1], item) for key, item in value.items()}
    if is_list_of_texts(kind) and isinstance(value, str):
        return value.split(",") if value else []
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return [_filled(inner[0], item) for item in value] if isinstance(value, list) else value


def _as_map(pairs: list[Any]) -> Any:
    """Return a map of secrets, headers for example, that is written as a list of names and values."""
    if all(map(_is_named, pairs)):
        return {pair["name"]: pair["value"] for pair in pairs}
    return pairs


def _is_named(pair: Any) -> bool:
    return isinstance(pair, dict) and pair.keys() == {"name", "value"} and isinstance(pair["name"], str)


def _replaced(value: Any, path: Sequence[str | int], text: str) -> Any:
    if not path:
        return text
    first, *rest = path
    if isinstance(value, dict):
        return {key: _replaced(item, rest, text) if key == first else item for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, rest, text) if index == first else item for index, item in enumerate(value)]
    return value


def _unknown_keys(kind: type[Any], errors: Sequence[Any], path: Path) -> list[Problem]:
    """Return one problem for each map with keys that it cannot have."""
    unknown: dict[Path, list[str]] = {}
    for error in errors:
        if error["type"] == "unexpected_keyword_argument":
            unknown.setdefault(error["loc"][:-1], []).append(error["loc"][-1])
    problems = []
    for place, keys in unknown.items():
        message = f"has invalid keys: {', '.join(sorted(keys))}{_meant(kind, place, keys)}"
        problems.append(Problem(message, (*path, *place), at=(*path, *place, keys[0])))
    return problems


def _meant(kind: Any, place: Path, keys: Sequence[str]) -> str:
    """Return what may have been meant by keys of the dataclass at a place, as words to end a sentence with."""
    for step in place:
        hints = get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
        inner = get_args(kind) or (None,)
        kind = without_none(hints.get(str(step)) or inner[-1 if is_map(kind) else 0])
    known = [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    close = [match for key in keys for match in difflib.get_close_matches(key, known, n=1)]
    return f' (did you mean "{close[0]}"?)' if close else f" (valid keys: [{' '.join(known)}])"


def _unfit(errors: Sequence[Any], path: Path) -> list[Problem]:
    return [
        Problem(_message(error), (*path, *error["loc"]))
        for error in errors
        if error["type"] != "unexpected_keyword_argument"
    ]


def _message(error: Any) -> str:
    given = _GIVEN.get(type(error["input"]), "value")
    match error["type"]:
        case "missing":
            return "is required"
        case "literal_error" | "enum":
            expected = error["ctx"]["expected"].replace("'", '"')
            shown = f'"{error["input"]}"' if isinstance(error["input"], str) else f"a value of type '{given}'"
            return f"expected {expected}, got {shown}"
        case "value_error":
            return str(error["ctx"]["error"])
        case expected if expected in _EXPECTED:
            return f"expected type '{_EXPECTED[expected]}', got unconvertible type '{given}'"
    return str(error["msg"]).removeprefix("Input ")
