"""``provtel show``."""

from __future__ import annotations

import click

from provtel_cli import options
from provtel_cli.output import console, print_json


@click.command()
@click.argument("identity", metavar="ID")
@options.json_option
@options.store_option
def show(*, identity: str, as_json: bool, store: str | None) -> None:
    """Show all that is known of an activity: a task, a workflow, or any other.

    ID is what the tables show, or at least four first digits of a trace id or span id. Those of a trace id mean its
    workflow.
    """
    from provtel_model.errors import UserError
    from provtel_query.friendly import record_as_json

    from provtel_cli.details import details

    with options.opened(store) as opened:
        record = opened.get(identity)
        if record is None:
            raise UserError(f"there is no record {identity!r} in {opened.location}; `provtel tasks --all` lists them")
        if as_json:
            print_json([record_as_json(record)])
        else:
            console().print(details(record, opened.children(record)))
