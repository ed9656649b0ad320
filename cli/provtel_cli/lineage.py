"""``provtel lineage``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provtel_cli import options
from provtel_cli.output import console, note, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_query import Lineage


@click.command()
@click.argument("target", metavar="ID|VALUE")
@click.option("--down", is_flag=True, help="What came of it, not where it came from.")
@click.option("--depth", type=click.IntRange(min=0), metavar="N", help="How many activities to go; by default all.")
@click.option(
    "--evidence",
    metavar="KINDS",
    help="How edges must be known: declared, same_object, same_file, same_content or same_name_and_value, for it and "
    "all before it; several by commas, for just those.",
)
@click.option(
    "--picture", type=click.Path(path_type=Path), metavar="FILE", help="Draw it too, into a file named .svg or .png."
)
@options.run_option
@options.json_option
@options.store_option
def lineage(
    *,
    target: str,
    down: bool,
    depth: int | None,
    evidence: str | None,
    picture: Path | None,
    run: str | None,
    as_json: bool,
    store: str | None,
) -> None:
    """Show where an activity or a datum came from, or what came of it.

    ID is an activity's. VALUE is a content hash (sha256:…), the value of a role (o2=8), a file, or any value as JSON or
    plain text. A value that says little by itself, such as 8, is looked for in the last run, or in --run.

    \b
    provtel lineage o2=8
    provtel lineage report.txt --picture report.svg
    provtel lineage data.csv --down
    """  # noqa: D301  # \b keeps click from joining the lines
    from provtel_query import Direction

    kinds = evidence.split(",") if evidence and "," in evidence else evidence
    with options.opened(store) as opened:
        direction = Direction.DOWNSTREAM if down else Direction.UPSTREAM
        found = opened.lineage(target, direction, depth=depth, evidence=kinds, run=run)
    if picture:
        found.draw(picture, f"{direction} of {target}")
        note(f"the picture is {picture}")
    if as_json:
        print_json(_lines(found))
    else:
        _print(found)


def _print(found: Lineage) -> None:
    from provtel_cli.tree import chain, trees

    terminal = console()
    line = chain(found)
    if line:
        terminal.print(line + "\n")
    for tree in trees(found):
        terminal.print(tree)
    if found.cut:
        note("it goes on beyond --depth")
    if found.others:
        note(f"{found.others} other activities generated the same value earlier; name one by its id to follow it")


def _lines(found: Lineage) -> Iterator[dict[str, Any]]:
    from provtel_query.friendly import as_json, record_as_json

    for entity in found.entities.values():
        is_root = entity.id in found.roots
        yield {"type": "entity", "root": is_root, "id": entity.id, "role": entity.role, "value": as_json(entity.value)}
    for record in found.activities.values():
        yield {"type": "activity", "root": record.id in found.roots, **record_as_json(record)}
    for generation in found.generations:
        yield {"type": "generated", **generation._asdict()}
    for usage in found.usages:
        yield {"type": "used", **usage._asdict()}
