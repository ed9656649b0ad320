"""Tables: of records, and of anything."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from provtel_model.fields import TIME_FIELDS, check_field, values_at, with_computed
from provtel_model.record import State, instant
from provtel_query.text import cut, duration_text, short_id, value_text, values_text
from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provtel_model.record import Record
    from rich.console import JustifyMethod

STYLES: Final = {
    State.FINISHED: "green",
    State.ERROR: "red",
    State.CANCELLED: "yellow",
    State.LOST: "magenta",
    State.RUNNING: "cyan",
    State.SUBMITTED: "dim",
}
VALUE_WIDTH: Final = 60

Cell: TypeAlias = "Callable[[Record], Text]"


def records_table(records: Sequence[Record], columns: Sequence[str], cells: dict[str, Cell] | None = None) -> Table:
    """Return a table of records.

    Args:
        records: One a row.
        columns: Names of `CELLS`, of `cells`, or fields as filters know them.
        cells: How further columns are made.

    Raises:
        FilterError: A column is neither.
    """
    known = CELLS | {"started": _started(records)} | (cells or {})
    makers = [known.get(column) or _field(column) for column in columns]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        # Where a line is too short for all, Rich narrows the columns first that may wrap; what is in them is cut.
        justify: JustifyMethod = "right" if column in _RIGHT else "left"
        table.add_column(_one_line(Text(column)), no_wrap=column in _WHOLE, justify=justify)
    for record in records:
        table.add_row(*(_one_line(maker(record)) for maker in makers))
    return table


def plain_table(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> Table:
    """Return a table of texts."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(_one_line(Text(column)))
    for row in rows:
        table.add_row(*(_one_line(Text(cell)) for cell in row))
    return table


def folding_table(*columns: str) -> Table:
    """Return an empty table whose cells are folded and never cut."""
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def status_text(record: Record) -> Text:
    """Return a record's state in its colour."""
    return Text(record.status, style=STYLES[record.status])


def cpu_text(record: Record) -> str:
    """Return the processor time of a record; it is marked where it can only be that of the whole process."""
    cost = record.plain.get("telemetry", {})
    parts = [part for part in (cost.get("cpu.user"), cost.get("cpu.system")) if isinstance(part, int | float)]
    whose = " (process)" if cost.get("cpu.scope") == "process" else ""
    return duration_text(sum(parts)) + whose if parts else ""


def local_time(moment: dt.datetime) -> str:
    """Return a moment as people here write it."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _started(records: Sequence[Record]) -> Cell:
    days = {record.started_at.astimezone().date() for record in records}
    today = dt.datetime.now().astimezone().date()
    if days <= {today}:
        return lambda record: Text(record.started_at.astimezone().strftime("%H:%M:%S"))
    return lambda record: Text(local_time(record.started_at))


def _field(column: str) -> Cell:
    check_field(column)
    path = tuple(column.split("."))

    def cell(record: Record) -> Text:
        found: list[Any] = list(values_at(dict(with_computed(record.plain)), path))
        if column in TIME_FIELDS and found:
            return Text(instant(found[0]).isoformat())
        texts = [value if isinstance(value, str) else value_text(value, VALUE_WIDTH) for value in found]
        return Text(cut(" ".join(texts), VALUE_WIDTH))

    return cell


CELLS: Final[dict[str, Cell]] = {
    "id": lambda record: Text(short_id(record)),
    "name": lambda record: Text(cut(record.name, VALUE_WIDTH)),
    "status": status_text,
    "duration": lambda record: Text(duration_text(record.duration)),
    "cpu": lambda record: Text(cpu_text(record)),
    "used": lambda record: Text(values_text(record.plain.get("used", {}), VALUE_WIDTH)),
    "generated": lambda record: Text(values_text(record.plain.get("generated", {}), VALUE_WIDTH)),
}
_RIGHT: Final = frozenset({"duration", "cpu", "tasks", "failed"})
_WHOLE: Final = frozenset({"id", "name", "status", "started"}) | _RIGHT
