"""``provtel status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provtel_cli import options
from provtel_cli.output import console, print_json

if TYPE_CHECKING:
    from provtel_query import Store
    from rich.table import Table


@click.command()
@options.json_option
@options.store_option
def status(*, as_json: bool, store: str | None) -> None:
    """Show what a store holds, and what waits in journals to be brought in. Nothing is brought in by this."""
    from provtel_query import connect

    with connect(store, drain=False) as opened:
        found = _status(opened)
    if as_json:
        print_json([found])
    else:
        console().print(_table(found))


def _status(store: Store) -> dict[str, Any]:
    from provtel_model.store_folder import LMDB_FOLDER

    from provtel_cli.journals import journals_of, size_of

    found: dict[str, Any] = {"store": store.location, "records": store.count()}
    for kind in ("workflow", "task"):
        found[f"{kind}s"] = store.count({"kind": kind})
    if "://" in store.location:
        return found
    folder = Path(store.location)
    journals = [
        {"path": str(journal.path), "goes_to": journal.goes_to, "running": journal.running, "nbytes": journal.nbytes}
        for journal in journals_of(folder)
    ]
    return found | {"exists": folder.is_dir(), "nbytes": size_of(folder / LMDB_FOLDER), "journals": journals}


def _table(found: dict[str, Any]) -> Table:
    from provtel_query.text import size_text
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("store", found["store"] if found.get("exists", True) else f"{found['store']} (not there)")
    grid.add_row("records", str(found["records"]))
    grid.add_row("  workflows", str(found["workflows"]))
    grid.add_row("  tasks", str(found["tasks"]))
    if "nbytes" in found:
        grid.add_row("on disk", size_text(found["nbytes"]))
    for number, journal in enumerate(found.get("journals", ())):
        writer = "running" if journal["running"] else "ended"
        text = f"{Path(journal['path']).name}, {writer}, {size_text(journal['nbytes'])}, for {journal['goes_to']}"
        grid.add_row("" if number else "journals", text)
    return grid
