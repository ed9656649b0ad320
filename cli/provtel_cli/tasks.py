"""``provtel tasks``."""

from __future__ import annotations

import click

from provtel_cli import options
from provtel_cli.output import console, explain_nothing, one_more, print_json, within

DEFAULT_COLUMNS = "id,name,status,started,duration,cpu,used,generated"


@click.command()
@options.run_option
@click.option("--all", "all_runs", is_flag=True, help="The tasks of every run, not of the last alone.")
@options.where_option
@options.sort_option
@options.limit_option(50)
@click.option(
    "--columns", metavar="FIELDS", default=DEFAULT_COLUMNS, show_default=True, help="Columns of the table, by commas."
)
@options.json_option
@options.store_option
def tasks(
    *,
    run: str | None,
    all_runs: bool,
    conditions: tuple[str, ...],
    sort: str,
    limit: int,
    columns: str,
    as_json: bool,
    store: str | None,
) -> None:
    """List the tasks of a run, by default of the last one, newest first.

    \b
    provtel tasks --where 'used.lr>0.01' --sort -duration --limit 5
    provtel tasks --all --where status=error --json
    """  # noqa: D301  # \b keeps click from joining the lines
    from provtel_query.friendly import record_as_json

    from provtel_cli.table import records_table
    from provtel_cli.where import filter_of

    if run and all_runs:
        raise click.UsageError("--run and --all exclude each other")
    where = filter_of(conditions)
    with options.opened(store) as opened:
        found = opened.tasks(where, run=run, all_runs=all_runs, sort=sort, limit=one_more(limit))
        found = within(found, limit)
        if found and as_json:
            print_json(map(record_as_json, found))
        elif found:
            console().print(records_table(found, [column.strip() for column in columns.split(",")]))
        else:
            whose = "" if all_runs else f" in the run {run}" if run else " in the last run"
            explain_nothing(opened, f"tasks match{whose}" if where else f"tasks{whose}")
