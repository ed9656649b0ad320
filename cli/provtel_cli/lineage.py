"""``provtel lineage``."""

from __future__ import annotations

from contextlib import ExitStack
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
@click.option("--until", multiple=True, metavar="NAME", help="Go no further than activities of this name or kind.")
@click.option("--from", "source", metavar="ID|VALUE", help="Only what lies on the way from there.")
@click.option("--no-data", is_flag=True, help="Activities alone, without the data between them.")
@click.option("--also", multiple=True, metavar="STORE", help="Follow it through another store too.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write it too, into a file named .svg, .png, .dot or .graphml.",
)
@options.run_option
@options.json_option
@options.store_option
def lineage(  # noqa: PLR0913  # what a person may say
    *,
    target: str,
    down: bool,
    depth: int | None,
    evidence: str | None,
    until: tuple[str, ...],
    source: str | None,
    no_data: bool,
    also: tuple[str, ...],
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
    provtel lineage report.txt --from data.csv --no-data
    """  # noqa: D301  # \b keeps click from joining the lines
    from provtel_query import Direction, connect

    if source and (down or depth is not None or until or run):
        raise click.UsageError("--from goes from one end to the other: no --down, --depth, --until or --run with it")
    kinds = evidence.split(",") if evidence and "," in evidence else evidence
    direction = Direction.DOWNSTREAM if down else Direction.UPSTREAM
    with options.opened(store) as opened, ExitStack() as others:
        stores = [others.enter_context(connect(place)) for place in also]
        if source:
            found = opened.path(source, target, evidence=kinds, also=stores)
        else:
            found = opened.lineage(target, direction, depth=depth, until=until, evidence=kinds, run=run, also=stores)
    if source and not len(found):
        note(f"{target} did not come from {source}, as far as is known")
    found = found.without_data() if no_data else found
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
