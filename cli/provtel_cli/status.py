"""``provtel status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provtel_cli import options
from provtel_cli.ledger import DEFAULT_ADDRESS, Ledger, read_samples
from provtel_cli.output import console, note, print_json

if TYPE_CHECKING:
    from provtel_query import Store
    from rich.table import Table


@click.command()
@options.json_option
@options.store_option
@click.option(
    "--collector",
    metavar="ADDRESS",
    is_flag=False,
    flag_value=DEFAULT_ADDRESS,
    help=f"Show in its place what a collector took and what became of it; without an address, {DEFAULT_ADDRESS}.",
)
def status(*, as_json: bool, store: str | None, collector: str | None) -> None:
    """Show what a store holds, and what waits in journals to be brought in. Nothing is brought in by this.

    Of each process whose journal is still there: how many activities started, ended and are open, how many of them a
    store or endpoint has acknowledged and how many wait, and how many were dropped because they could not be written.
    What was acknowledged long ago is no longer counted: its journal is gone, or the front part of it.
    """
    if collector is not None:
        _show_ledger(collector, as_json=as_json)
        return
    from provtel_query import connect

    with connect(store, drain=False) as opened:
        found = _status(opened)
    if as_json:
        print_json([found])
        return
    console().print(_table(found))
    if found.get("journals"):
        console().print(_journals_table(found))
    for journal in found.get("journals", ()):
        if journal.get("dropped"):
            activities = f"{journal['dropped']} activities of process {journal['pid']}"
            note(f"{activities} were dropped: {journal['dropped_because']}")


def _show_ledger(address: str, *, as_json: bool) -> None:
    ledger = Ledger(read_samples(address))
    if as_json:
        print_json([ledger.as_json()])
        return
    for table in ledger.tables():
        console().print(table)


def _status(store: Store) -> dict[str, Any]:
    from provtel_model.store_folder import LMDB_FOLDER, SEGMENTS_FOLDER

    from provtel_cli.journals import journals_of, size_of, totals

    found: dict[str, Any] = {"store": store.location, "records": store.count()}
    for kind in ("workflow", "task"):
        found[f"{kind}s"] = store.count({"kind": kind})
    if "://" in store.location:
        return found
    folder = Path(store.location)
    journals = journals_of(folder)
    return found | {
        "exists": folder.is_dir(),
        "nbytes": size_of(folder / LMDB_FOLDER) + size_of(folder / SEGMENTS_FOLDER),
        "journals": [journal.as_json() for journal in journals],
        "in_journals": totals(journals),
    }


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
    if found.get("journals") == []:
        grid.add_row("journals", "none: nothing waits to be brought in")
    return grid


def _journals_table(found: dict[str, Any]) -> Table:
    from provtel_query.text import size_text
    from rich import box
    from rich.table import Table

    from provtel_cli.journals import COUNTS

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=len(found["journals"]) > 1)
    total = found["in_journals"]
    table.add_column("journal of", "total", overflow="fold")
    table.add_column("")
    for name in COUNTS:
        table.add_column(name, str(total[name]), justify="right")
    table.add_column("on disk", size_text(total["nbytes"]), justify="right", no_wrap=True)
    table.add_column("for", overflow="fold")
    for journal in found["journals"]:
        process = f"process {journal['pid']}" if "pid" in journal else Path(journal["path"]).name
        counts = [str(journal.get(name, "")) for name in COUNTS]
        state = "running" if journal["running"] else "ended"
        table.add_row(process, state, *counts, size_text(journal["nbytes"]), journal["goes_to"])
    return table
