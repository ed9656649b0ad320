"""The order of an answer: fields in order of weight, each with ``-`` before it to descend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provtel_model.errors import FilterError
from provtel_model.fields import order_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def sort_order(fields: Sequence[str] | str) -> Sequence[tuple[str, int]]:
    """Return the order that fields stand for, in order of weight, each with ``-`` before it to descend."""
    names = fields.split(",") if isinstance(fields, str) else fields
    return [(name.strip().removeprefix("-"), -1 if name.strip().startswith("-") else 1) for name in names]


def sorted_rows(rows: list[dict[str, Any]], sort: Sequence[str] | str) -> list[dict[str, Any]]:
    """Return rows in an order of their keys, each with ``-`` before it to descend.

    Raises:
        FilterError: No row has such a key.
    """
    for name, direction in reversed(sort_order(sort) if sort else ()):
        if rows and not any(name in row for row in rows):
            raise FilterError(f"there is nothing to sort by called {name!r}; there are {', '.join(rows[0])}")
        rows = sorted(rows, key=lambda row, name=name: order_of(row.get(name)), reverse=direction < 0)  # type: ignore[misc]
    return rows
