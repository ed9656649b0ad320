"""When something ran, and how it went on from epoch to epoch."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from provtel_model.errors import UserError
from provtel_model.fields import order_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.record import Record

    from provtel_query.store import Store

_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def on_weekday(store: Store, day: str, where: Mapping[str, Any] | None = None, *, zone: str = "UTC") -> list[Record]:
    """Return the activities that began on a day of the week, oldest first.

    Args:
        store: The store.
        day: ``monday`` to ``sunday``.
        where: Only activities that match: ``{"name": "align", "used.model": 12}``.
        zone: Where it was that day: ``Europe/Berlin``.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
        UserError: There is no such day, or no such zone.
    """
    if day.lower() not in _DAYS:
        raise UserError(f"{day!r} is no day of the week; use one of {', '.join(_DAYS)}")
    try:
        place = dt.UTC if zone == "UTC" else ZoneInfo(zone)  # which is there also where no zones are installed
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(f"the time zone {zone!r} is unknown here; use a name such as Europe/Berlin") from None
    wanted = _DAYS.index(day.lower())
    found = store.records(where, sort="started_at")
    return [record for record in found if record.started_at.astimezone(place).weekday() == wanted]


def epoch_table(store: Store, target: str, epoch: str = "epoch") -> list[dict[str, Any]]:
    """Return the epochs of a training, in their order: each with its number, what it generated, and its ``seconds``.

    An epoch is an activity inside the training, at any depth, that used its number in the role: a task, or an iteration
    of ``loop(…, name="epoch")``. While it runs, its seconds are ``None``.

    Args:
        store: The store.
        target: The id, or a prefix of the id, of the training's record.
        epoch: The role of the number.

    Raises:
        UserError: There is no such record.
    """
    training = store.get(target)
    if training is None:
        raise UserError(f"there is no record {target!r}")
    found: dict[str, Record] = {}
    level = [training]
    while level:
        inside = {child.id: child for record in level for child in store.children(record) if child.id not in found}
        found |= inside
        level = list(inside.values())
    epochs = [record for record in found.values() if epoch in record.used]
    epochs.sort(key=lambda record: (order_of(record.plain["used"][epoch]), record.plain["started_at"], record.id))
    return [{epoch: record.used[epoch], **record.generated, "seconds": _seconds(record)} for record in epochs]


def _seconds(record: Record) -> float | None:
    return None if record.duration is None else record.duration.total_seconds()
