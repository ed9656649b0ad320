"""``provtel copy``."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click
from provtel_model.errors import UserError

from provtel_cli import options
from provtel_cli.output import note, print_json
from provtel_cli.places import PLACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_query.copying import Copied
    from provtel_query.copying.copying import Progress

_NAMES: Final = {"records": "record", "points": "data point", "logs": "log record"}


@click.command()
@click.argument("source", metavar="FROM", type=PLACE)
@click.argument("target", metavar="TO", type=PLACE)
@options.run_option
@options.where_option
@options.json_option
def copy(*, source: str, target: str, run: str | None, conditions: tuple[str, ...], as_json: bool) -> None:
    """Copy records, data points and log records from one store into another, and verify the copy.

    FROM and TO are store folders, files (.jsonl, .parquet) or addresses such as mongodb://host/database. What TO has
    already stays as it is. A copy that was interrupted goes on from where it was when it is called again. Afterwards
    both sides are read and compared by count and digest; where they differ, the exit code is 1.

    \b
    provtel copy .provtel runs.jsonl --run sweep
    provtel copy .provtel mongodb://localhost/provtel
    """  # noqa: D301  # \b keeps click from joining the lines
    from provtel_query.copying import copy as copy_store
    from provtel_query.stores import shown

    from provtel_cli.where import filter_of

    with _progress() as progress:
        copied = copy_store(source, target, run=run, where=filter_of(conditions), progress=progress)
    for reason in copied.left_out:
        note(reason)
    if as_json:
        print_json([copied.as_json()])
    else:
        click.echo(_told(copied))
    if not copied.equal:
        raise UserError(f"{shown(target)} is no copy of {shown(source)}: {_differences(copied)}")


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show how far it is to a person on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _kind, _done, _all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        tasks = {}

        def tell(kind: str, done: int, total: int | None) -> None:
            if kind not in tasks:
                tasks[kind] = shown.add_task(kind)
            shown.update(tasks[kind], completed=done, total=total)

        yield tell


def _told(copied: Copied) -> str:
    lines = ["went on from where a copy was interrupted"] if copied.resumed else []
    for kind, compared in copied.compared.items():
        if not compared.source and kind != "records":
            continue
        count = f"{compared.source} {_NAMES[kind]}{'' if compared.source == 1 else 's'}"
        parts = [f"{copied.stored.get(kind, 0)} stored", f"{copied.duplicates.get(kind, 0)} there already"]
        parts += [f"{compared.newer} newer there"] if compared.newer else []
        parts += [f"{compared.late} came meanwhile"] if compared.late else []
        verdict = f"verified, {compared.target_digest}" if compared.equal else "NOT EQUAL"
        lines.append(f"{count}: {', '.join(parts)}; {verdict}")
    return "\n".join(lines)


def _differences(copied: Copied) -> str:
    return "; ".join(
        f"of {compared.source} {_NAMES[kind]}s {compared.count_differing} are missing or differ, such as "
        f"{', '.join(compared.differing)}"
        for kind, compared in copied.compared.items()
        if not compared.equal
    )
