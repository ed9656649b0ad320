"""The keys of a configuration, as its dataclass declares them and its docstring explains them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Iterator, Mapping
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

REQUIRED: Final = object()
"""The default of a key that has none."""

_SECTION: Final = re.compile(r"^(?:Args|Attributes):\n((?:(?: .*)?\n?)*)", re.MULTILINE)
_ENTRY: Final = re.compile(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """A key that a person may write.

    Args:
        name: How it is spelled.
        kind: The type of its value.
        default: What counts where it is not written; `REQUIRED` where it must be.
        meaning: What it is for.
    """

    name: str
    kind: Any
    default: Any
    meaning: str


def keys_of(config: type[Any]) -> Iterator[Key]:
    """Yield the keys of a dataclass, in its order."""
    hints = get_type_hints(config)
    meanings = _meanings(config)
    for field in dataclasses.fields(config):
        if field.init:
            yield Key(field.name, hints[field.name], _default(field), meanings.get(field.name, ""))


def without_none(kind: Any) -> Any:
    """Return a type without the None that it may be."""
    if get_origin(kind) in {Union, types.UnionType}:
        members = [member for member in get_args(kind) if member is not type(None)]
        return members[0] if len(members) == 1 else Union[tuple(members)]  # noqa: UP007  # made while the program runs
    return kind


def is_map(kind: Any) -> bool:
    """Return whether values of a type are written as maps."""
    kind = without_none(kind)
    origin = get_origin(kind) or kind
    return dataclasses.is_dataclass(kind) or (isinstance(origin, type) and issubclass(origin, Mapping))


def is_list_of_texts(kind: Any) -> bool:
    """Return whether values of a type may be written as one text, with commas in between."""
    kind = without_none(kind)
    return get_origin(kind) in {tuple, list} and get_args(kind)[0] is str


def summary(config: type[Any]) -> str:
    """Return the first line of a docstring."""
    return _line((inspect.getdoc(config) or "").split("\n", 1)[0])


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return REQUIRED if field.default_factory is dataclasses.MISSING else field.default_factory()


def _meanings(config: type[Any]) -> dict[str, str]:
    """Return what the docstring says of each key, in one line each; of an inherited one, what its own class says."""
    found: dict[str, str] = {}
    for base in reversed(config.__mro__):
        section = _SECTION.search((inspect.cleandoc(base.__doc__) if base.__doc__ else "") + "\n")
        entries = _ENTRY.findall(section[1]) if section else []
        found |= {name: _line(text) for name, text in entries}
    return found


def _line(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")
