"""Pages of an answer: where one ended, and which part of each record is wanted."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, cast

import ormsgpack

from provtel_model.errors import FilterError
from provtel_model.fields import order_of, values_at, with_computed
from provtel_model.record import Key, key_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainRecord

ALWAYS: Final = ("trace_id", "span_id", "name", "kind", "status", "started_at")
"""The fields that every record has."""


class Place(NamedTuple):
    """The place of a record in an order; its text is a cursor.

    Args:
        values: The values that it is ordered by, most important first.
        key: What breaks ties.
    """

    values: list[AnyValue]
    key: Key

    @classmethod
    def of(cls, plain: PlainRecord, sort: Sequence[tuple[str, int]]) -> Self:
        """Return the place of a record."""
        record = with_computed(plain)
        found = [next(values_at(record, tuple(name.split("."))), None) for name, _ in sort]
        return cls(found, key_of(plain))

    @classmethod
    def parse(cls, text: str, length: int) -> Self:
        """Return the place that a cursor names, in an order by `length` fields.

        Raises:
            FilterError: It is no cursor, or one of another order.
        """
        try:
            values, record_id, started_at = ormsgpack.unpackb(base64.b64decode(text, b"-_", validate=True))
        except (ValueError, TypeError, binascii.Error):
            raise FilterError(f"{text!r} is no cursor; give what the page before named as its end") from None
        if not isinstance(values, list) or len(values) != length:
            raise FilterError(f"the cursor {text!r} is of another order; ask with the sort that it was made with")
        return cls(values, Key(str(record_id), int(started_at)))

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(ormsgpack.packb([self.values, *self.key])).decode()

    def precedes(self, plain: PlainRecord, sort: Sequence[tuple[str, int]]) -> bool:
        """Say whether a record comes after this place."""
        for here, there, (_, direction) in zip(self.values, Place.of(plain, sort).values, sort, strict=True):
            mine, other = order_of(here), order_of(there)
            if mine != other:
                return (other > mine) == (direction > 0)
        return key_of(plain) > self.key


def project(plain: PlainRecord, fields: Sequence[str]) -> PlainRecord:
    """Return the wanted fields of a record and what every record has."""
    whole = cast("Mapping[str, Any]", plain)
    kept: dict[str, Any] = {name: whole[name] for name in ALWAYS if name in whole}
    for name in fields:
        top, _, rest = name.partition(".")
        if top not in whole:
            continue
        if not rest:
            kept[top] = whole[top]
        elif isinstance(whole[top], dict):
            _put_path(kept.setdefault(top, {}), whole[top], rest.split("."))
        else:
            kept[top] = whole[top]
    return cast("PlainRecord", kept)


def _put_path(kept: dict[str, Any], source: Mapping[str, Any], path: list[str]) -> None:
    """Copy what lies at a path; a key may contain dots."""
    for length in range(len(path), 0, -1):
        key = ".".join(path[:length])
        if key not in source:
            continue
        if length == len(path) or not isinstance(source[key], dict):
            kept[key] = source[key]
        else:
            _put_path(kept.setdefault(key, {}), source[key], path[length:])
        return
