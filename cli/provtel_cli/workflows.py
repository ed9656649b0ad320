"""``provtel workflows``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provtel_cli import options
from provtel_cli.answers import answers
from provtel_cli.output import explain_nothing, one_more, within

if TYPE_CHECKING:
    from provtel_model.record import Record
    from provtel_query import Store
    from rich.text import Text

    from provtel_cli.answers import Form
    from provtel_cli.table import Cell

_COLUMNS = ("id", "name", "status", "started", "duration", "tasks", "failed", "used", "generated")


@click.command()
@options.where_option
@options.sort_option
@options.limit_option(50)
@answers
@options.store_option
def workflows(*, conditions: tuple[str, ...], sort: str, limit: int, form: Form, store: str | None) -> None:
    """List workflows, newest first."""
    from provtel_cli.where import filter_of

    where = filter_of(conditions)
    with options.opened(store) as opened:
        found = within(opened.workflows(where, sort=sort, limit=one_more(limit)), limit)
        if found:
            cells: dict[str, Cell] = {"tasks": _Count(opened), "failed": _Count(opened, "error")}
            form.give(found, _COLUMNS, cells)
        else:
            explain_nothing(opened, "workflows match" if where else "workflows")


class _Count:
    """A cell that says how many tasks a workflow has, of all or of one state."""

    def __init__(self, store: Store, status: str | None = None) -> None:
        self._store = store
        self._where = {"kind": "task"} | ({"status": status} if status else {})

    def __call__(self, record: Record) -> Text:
        from rich.text import Text

        count = self._store.count(self._where | {"run": record.run})
        return Text(str(count or ""), style="red" if "status" in self._where else "")
