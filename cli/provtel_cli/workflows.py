"""``provtel workflows``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provtel_cli import options
from provtel_cli.output import console, explain_nothing, one_more, print_json, within

if TYPE_CHECKING:
    from provtel_model.record import Record
    from provtel_query import Store
    from rich.text import Text

    from provtel_cli.table import Cell

_COLUMNS = ("id", "name", "status", "started", "duration", "tasks", "failed", "used", "generated")


@click.command()
@options.where_option
@options.sort_option
@options.limit_option(50)
@options.json_option
@options.store_option
def workflows(*, conditions: tuple[str, ...], sort: str, limit: int, as_json: bool, store: str | None) -> None:
    """List workflows, newest first."""
    from provtel_query.friendly import record_as_json

    from provtel_cli.table import records_table
    from provtel_cli.where import filter_of

    where = filter_of(conditions)
    with options.opened(store) as opened:
        found = within(opened.workflows(where, sort=sort, limit=one_more(limit)), limit)
        if found and as_json:
            print_json(map(record_as_json, found))
        elif found:
            cells: dict[str, Cell] = {"tasks": _Count(opened), "failed": _Count(opened, "error")}
            console().print(records_table(found, _COLUMNS, cells))
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
