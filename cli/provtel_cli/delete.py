"""``provtel delete``."""

from __future__ import annotations

import click
from provtel_model.errors import UserError

from provtel_cli import options
from provtel_cli.confirming import confirm, yes_option
from provtel_cli.output import print_json


@click.command()
@click.argument("run", metavar="RUN")
@yes_option
@options.json_option
@options.store_option
def delete(*, run: str, yes: bool, as_json: bool, store: str | None) -> None:
    """Delete a run: all of its activities, what was said of them, and the log records that name them.

    RUN is the id of a run, the name of its workflow (of several the newest), or the first digits of an id of a record
    in it. Asks first. What is deleted cannot be had back; its space goes to what is written later, or back to the disk
    by `provtel store compact`.

    \b
    provtel delete sweep
    """  # noqa: D301  # \b keeps click from joining the lines
    from provtel_model.filters import Query
    from provtel_query.identity import find_run
    from provtel_query.retention import delete_runs

    with options.opened(store) as opened:
        found = find_run(opened.reader, run)
        if found is None:
            raise UserError(f"there is no run {run!r} in {opened.location}; `provtel workflows` lists what there is")
        count = opened.reader.count(Query({"run": found}))
        named = opened.reader.find(Query({"run": found, "kind": "workflow"}, sort=(("started_at", 1),), limit=1))
        location = opened.location
    name = f"{named[0].name} ({found})" if named else found
    if not yes:
        confirm(f"Delete the run {name} with {count} records from {location}?")
    removed = delete_runs(store or location, [found])
    if as_json:
        print_json([{"run": found, "records": removed}])
    else:
        click.echo(f"deleted the run {name}: {removed} records")
