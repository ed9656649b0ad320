"""``provtel store stats``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from provtel_cli import options
from provtel_cli.output import console, print_json
from provtel_cli.places import lmdb_folder, located

if TYPE_CHECKING:
    from provtel_model.components import Reader

_TITLES: Final = {
    "records": "records",
    "runs": "runs",
    "points": "data points",
    "logs": "log records",
    "segments": "segments",
    "deletions": "deletions",
    "format": "format",
    "nbytes": "on disk",
    "page_size": "page size",
    "pages": "pages",
    "free_pages": "free pages",
    "index": "index",
    "index_nbytes": "index on disk",
}


@click.command()
@options.json_option
@options.store_option
def stats(*, as_json: bool, store: str | None) -> None:
    """Show what a store holds, and what it takes: records by kind, runs, data points, log records, bytes, free pages.

    Free pages are taken by what is written next; `provtel store compact` gives them back to the disk. Of a store on a
    network file system it shows how many segments it has, and where this machine's index of them is. Nothing is brought
    in from journals by this.
    """
    from provtel_query.stores import shown

    location = located(store)
    folder = lmdb_folder(location)
    found = {"store": shown(location)} | (_of_any(location) if folder is None else _of_folder(folder))
    if as_json:
        print_json([found])
    else:
        _print(found)


def _of_folder(folder: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from provtel_exporters.lmdb import upkeep

    return asdict(upkeep.stats(folder.parent))


def _of_any(location: str) -> dict[str, Any]:
    """Return what any store can tell of itself."""
    from provtel_query.stores import open_reader

    with closing(open_reader(location)) as reader:
        found = _of_reader(reader)
    file = Path(location.removeprefix("file://"))
    return found | ({"nbytes": file.stat().st_size} if file.is_file() else {})


def _of_reader(reader: Reader) -> dict[str, Any]:
    from provtel_model.aggregation import Aggregation
    from provtel_model.filters import Query
    from provtel_model.telemetry import Window

    kinds = {str(group["kind"]): group["count"] for group in reader.aggregate(Aggregation(by=("kind",)))}
    return {
        "records": reader.count(Query()),
        "kinds": kinds,
        "runs": len(reader.distinct("run", Query())),
        "points": len(reader.points(Window())),
        "logs": len(reader.logs(Window())),
    }


def _print(found: dict[str, Any]) -> None:
    from provtel_query.text import size_text
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("store", found["store"])
    for key, title in _TITLES.items():
        if key in found:
            grid.add_row(title, size_text(found[key]) if key.endswith("nbytes") else str(found[key]))
        if key == "records":
            for kind, count in found["kinds"].items():
                grid.add_row(f"  {kind}", str(count))
    console().print(grid)
