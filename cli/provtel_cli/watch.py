"""``provtel watch``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from provtel_cli import options
from provtel_cli.output import console, note, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provtel_model.components import Changes
    from provtel_model.record import Record
    from provtel_query.friendly import Json
    from rich.text import Text

_STATUS_WIDTH: Final = 9
_NAME_WIDTH: Final = 60
_VALUES_WIDTH: Final = 80


@click.command()
@options.where_option
@click.option(
    "--since",
    metavar="CURSOR",
    help="Go on behind what a watch before has shown: the cursor of its last line of JSON, or what it said when it was "
    "interrupted. With `beginning` all that the store has comes first. By default only what is new.",
)
@options.json_option
@options.store_option
def watch(*, conditions: tuple[str, ...], since: str | None, as_json: bool, store: str | None) -> None:
    """Show records as they come into a store and change, until Ctrl-C.

    What your programs record is brought in meanwhile, so that tasks are seen while they run. A record is shown again
    when its state moves on. With --json each object has a `cursor`.

    \b
    provtel watch --where status=error
    provtel watch --json --since beginning | jq .name
    """  # noqa: D301  # \b keeps click from joining the lines
    from provtel_query.watching import watch as watch_store

    from provtel_cli.where import filter_of

    cursor = since
    try:
        for changes in watch_store(store, filter_of(conditions), since):
            if as_json:
                print_json(_objects(changes, cursor))
            elif changes.records:
                _print(changes.records)
            cursor = changes.cursor
    except KeyboardInterrupt:
        if cursor and not as_json:
            note(f"to go on from here: provtel watch --since {cursor}")
        raise


def _objects(changes: Changes, before: str | None) -> Iterator[dict[str, Json]]:
    """Yield records for programs; only behind the last of them all were shown, so only that has the new cursor."""
    from provtel_query.friendly import record_as_json

    last = len(changes.records) - 1
    for number, record in enumerate(changes.records):
        yield record_as_json(record) | {"cursor": changes.cursor if number == last else before or ""}


def _print(records: Sequence[Record]) -> None:
    shown = console()
    for record in records:
        shown.print(_line(record), soft_wrap=True)


def _line(record: Record) -> Text:
    from provtel_query.text import cut, duration_text, short_id, values_text
    from rich.text import Text

    from provtel_cli.table import status_text

    status = status_text(record)
    status.pad_right(max(0, _STATUS_WIDTH - len(status)))
    parts = [
        Text(record.started_at.astimezone().strftime("%H:%M:%S"), style="dim"),
        Text(short_id(record)),
        status,
        Text(cut(record.name, _NAME_WIDTH), style="bold"),
    ]
    if record.duration is not None:
        parts.append(Text(duration_text(record.duration)))
    if record.plain.get("used"):
        parts.append(Text(values_text(record.plain["used"], _VALUES_WIDTH)))
    if record.plain.get("generated"):
        parts.append(Text(f"-> {values_text(record.plain['generated'], _VALUES_WIDTH)}"))
    if record.error is not None:
        parts.append(
            Text(cut(f"{record.error.type or ''} {record.error.message or ''}".strip(), _VALUES_WIDTH), style="red")
        )
    return Text("  ").join(parts)
