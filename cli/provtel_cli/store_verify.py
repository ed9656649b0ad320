"""``provtel store verify``."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from provtel_cli import options
from provtel_cli.output import note, print_json
from provtel_cli.places import lmdb_folder, located

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@options.json_option
@options.store_option
def verify(*, as_json: bool, store: str | None) -> int:
    """Look for damage: exit code 0 where there is none, 1 with what is damaged.

    Of a store folder the pages of the LMDB file are looked at, every row is read, and every entry of an index is
    followed to its row and back; who writes meanwhile is not in the way. Of one on a network file system every segment
    is read, and this machine's index is looked at. Of other stores every record is read.
    """
    from provtel_query.stores import shown

    location = located(store)
    folder = lmdb_folder(location)
    found = _of_any(location) if folder is None else _of_folder(folder)
    if as_json:
        print_json([{"store": shown(location)} | found])
    else:
        _print(shown(location), found)
    return 1 if found["damage"] else 0


def _of_folder(folder: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from provtel_exporters.lmdb import upkeep

    return asdict(upkeep.verify(folder.parent))


def _of_any(location: str) -> dict[str, Any]:
    """Read everything of a store, which is an error where it cannot be."""
    from provtel_model.filters import Query
    from provtel_model.telemetry import Window
    from provtel_query.stores import open_reader

    with closing(open_reader(location)) as reader:
        observations = len(reader.points(Window())) + len(reader.logs(Window()))
        return {"records": len(reader.find(Query())), "observations": observations, "damage": []}


def _print(location: str, found: dict[str, Any]) -> None:
    for damage in found["damage"]:
        click.echo(damage)
    if found.get("more"):
        note(f"and {found['more']} more")
    if found.get("pages") is False:
        note("the pages of the file were not looked at; that needs py-lmdb 3")
    entries = f", {found['entries']} entries of indexes" if "entries" in found else ""
    read = f"{found['records']} records, {found['observations']} data points and log records{entries}"
    click.echo(f"{location} is {'DAMAGED' if found['damage'] else 'sound'}: {read}")
