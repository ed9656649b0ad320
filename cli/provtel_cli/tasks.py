"""``provtel tasks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from provtel_cli import options
from provtel_cli.answers import answers
from provtel_cli.output import explain_nothing, one_more, within

if TYPE_CHECKING:
    from provtel_cli.answers import Form

COLUMNS: Final = ("id", "name", "status", "started", "duration", "cpu", "used", "generated")


@click.command()
@options.run_option
@click.option("--all", "all_runs", is_flag=True, help="The tasks of every run, not of the last alone.")
@options.where_option
@options.sort_option
@options.limit_option(50)
@answers
@options.store_option
def tasks(
    *,
    run: str | None,
    all_runs: bool,
    conditions: tuple[str, ...],
    sort: str,
    limit: int,
    form: Form,
    store: str | None,
) -> None:
    """List the tasks of a run, by default of the last one, newest first.

    \b
    provtel tasks --where 'used.lr>0.01' --sort -duration --limit 5
    provtel tasks --all --where status=error --json
    provtel tasks --columns name,used.lr,generated.loss --csv
    """  # noqa: D301  # \b keeps click from joining the lines
    from provtel_cli.where import filter_of

    if run and all_runs:
        raise click.UsageError("--run and --all exclude each other")
    where = filter_of(conditions)
    with options.opened(store) as opened:
        found = opened.tasks(where, run=run, all_runs=all_runs, sort=sort, limit=one_more(limit))
        found = within(found, limit)
        if found:
            form.give(found, COLUMNS)
        else:
            whose = "" if all_runs else f" in the run {run}" if run else " in the last run"
            explain_nothing(opened, f"tasks match{whose}" if where else f"tasks{whose}")
