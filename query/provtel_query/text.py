"""Short texts for tables, trees and pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from provtel_model.anyvalue import TYPE_KEY

from provtel_query.friendly import as_json

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import Record

ELLIPSIS: Final = "…"
SHORT_ID: Final = 8
_SIGNIFICANT_DIGITS: Final = 6
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_THOUSAND: Final = 1000
_MINUTE: Final = 60
_HOUR: Final = 3600


def short_id(record: Record) -> str:
    """Return the digits of a record's span id that tell it from its neighbours."""
    return record.span_id[:SHORT_ID]


def value_text(value: AnyValue, width: int = 40) -> str:
    """Return a value in at most `width` characters, on one line."""
    return cut("".join(_within(_pieces(value), width)), width)


def values_text(values: Mapping[str, AnyValue], width: int = 60) -> str:
    """Return values by role in at most `width` characters: ``lr=0.1 n=3``."""
    each = max(width // max(len(values), 1), 12)
    return cut(" ".join(f"{role}={value_text(value, each)}" for role, value in values.items()), width)


def duration_text(duration: dt.timedelta | float | None) -> str:
    """Return a length of time (seconds, where it is a number) with three digits and a unit that suits it."""
    if duration is None:
        return ""
    seconds = duration if isinstance(duration, int | float) else duration.total_seconds()
    if seconds >= _HOUR:
        return f"{int(seconds // _HOUR)}h{int(seconds % _HOUR // _MINUTE):02}m"
    if seconds >= _MINUTE:
        return f"{int(seconds // _MINUTE)}m{int(seconds % _MINUTE):02}s"
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns" if seconds else "0 s"


def size_text(nbytes: float) -> str:
    """Return a number of bytes with three digits and a unit that suits it."""
    for unit in _UNITS[:-1]:
        if nbytes < _THOUSAND:
            return f"{nbytes:.3g} {unit}"
        nbytes /= _THOUSAND
    return f"{nbytes:.3g} {_UNITS[-1]}"


def cut(text: str, width: int) -> str:
    """Return a text in at most `width` characters on one line, with nothing in it that a terminal acts on."""
    text = "".join(letter if letter.isprintable() else " " if letter.isspace() else "\ufffd" for letter in text)
    return text if len(text) <= width else text[: width - 1] + ELLIPSIS


def _pieces(value: AnyValue) -> Iterator[str]:
    if isinstance(value, dict) and TYPE_KEY in value:
        yield from _tagged(value)
    elif isinstance(value, dict):
        yield from _joined("{", (_entry(key, item) for key, item in value.items()), "}")
    elif isinstance(value, list):
        yield from _joined("[", map(_pieces, value), "]")
    elif isinstance(value, bytes):
        yield f"<{size_text(len(value))}>"
    elif isinstance(value, float):
        yield f"{value:.{_SIGNIFICANT_DIGITS}g}"
    else:
        yield json.dumps(value, ensure_ascii=False)


def _tagged(value: dict[str, AnyValue]) -> Iterator[str]:
    tag = value[TYPE_KEY]
    items = value.get("items")
    if tag == "reference":
        yield _reference(value)
    elif isinstance(items, list):
        opening, closing = ("(", ")") if tag == "tuple" else ("{", "}")
        yield from _joined(opening, map(_pieces, items), closing)
    elif tag == "object" and isinstance(fields := value.get("fields"), dict):
        name = str(value.get("class")).rpartition(".")[2]
        yield from _joined(f"{name}(", (_entry(key, item) for key, item in fields.items()), ")")
    else:
        readable = as_json(value)
        yield readable if isinstance(readable, str) else json.dumps(readable, ensure_ascii=False)


def _reference(value: dict[str, AnyValue]) -> str:
    uri, preview, shape, nbytes = (value.get(key) for key in ("uri", "preview", "shape", "nbytes"))
    kind = str(value.get("type")).rpartition(".")[2]
    if isinstance(uri, str):
        return uri.rpartition("/")[2] or uri
    if isinstance(shape, list) and shape:
        return f"<{kind} {'x'.join(map(str, shape))}>"
    if isinstance(preview, str):
        return " ".join(preview.split())
    return f"<{kind} {size_text(nbytes)}>" if isinstance(nbytes, int) else f"<{kind}>"


def _entry(key: str, item: AnyValue) -> Iterator[str]:
    yield f"{key}: "
    yield from _pieces(item)


def _joined(opening: str, parts: Iterable[Iterator[str]], closing: str) -> Iterator[str]:
    yield opening
    for number, part in enumerate(parts):
        if number:
            yield ", "
        yield from part
    yield closing


def _within(pieces: Iterable[str], width: int) -> Iterator[str]:
    # A value of a million elements is not walked for the forty characters that are shown of it.
    length = 0
    for piece in pieces:
        yield piece
        length += len(piece)
        if length > width:
            return
