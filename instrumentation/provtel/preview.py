"""Short texts for people about values that a record does not hold."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from provtel import anatomy
from provtel.anatomy import class_name
from provtel.redaction import REDACTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provtel.redaction import Redaction

LONGEST: Final = 200
_ITEMS: Final = 8
_LONGEST_TEXT: Final = 40
_SCALARS: Final = frozenset({int, float, bool, complex, type(None)})


def of_items(items: Iterable[object], redaction: Redaction) -> str:
    """Return the first items: ``1, 'two', list, …``."""
    return _join([of_scalar(item, redaction) for item in itertools.islice(items, _ITEMS + 1)])


def of_fields(items: Iterable[tuple[object, object]], redaction: Redaction, mark: str) -> str:
    """Return the first entries: ``a=1, b='two', …`` where the mark is ``=``."""
    return _join(
        [
            f"{_name(key, redaction)}{mark}{_secret(key, redaction) or of_scalar(item, redaction)}"
            for key, item in itertools.islice(items, _ITEMS + 1)
        ]
    )


def of_object(kind: type, found: Mapping[str, object], redaction: Redaction) -> str | None:
    """Return the class and those fields that are public and simple: ``SVC(C=1.0, kernel='rbf')``."""
    simple = [
        (name, item)
        for name, item in itertools.islice(found.items(), 100)
        if not name.startswith("_") and not name.endswith("_") and (type(item) in _SCALARS or type(item) is str)
    ]
    return cut(f"{class_name(kind).rpartition('.')[2]}({of_fields(simple, redaction, '=')})") if simple else None


def of_scalar(value: object, redaction: Redaction) -> str:
    """Return a number or a text as Python writes it, and of anything else the name of its class."""
    kind = type(value)
    if kind in _SCALARS:
        return cut(repr(value)) if kind is not int or abs(value) < 10**30 else "int"  # type: ignore[arg-type]  # an int
    if kind is str:
        return repr(_shorten(redaction.text(value[: 4 * LONGEST])))  # type: ignore[index]  # exactly a str
    return class_name(kind)


def of_text(text: str, redaction: Redaction) -> str:
    """Return the beginning of a long text."""
    # Of a secret that goes on behind what is looked at no part may be shown: so less is shown than looked at.
    return cut(redaction.text(text[: 4 * LONGEST])).encode("utf-8", "replace").decode()


def cut(text: str) -> str:
    """Return a text that is not longer than a preview may be."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _join(parts: list[str]) -> str:
    return cut(", ".join([*parts[:_ITEMS], "…"] if len(parts) > _ITEMS else parts))


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


def _name(key: object, redaction: Redaction) -> str:
    return _shorten(key) if type(key) is str else of_scalar(key, redaction)


def _secret(key: object, redaction: Redaction) -> str | None:
    return REDACTED if redaction.hides(anatomy.name_of(key)) else None
