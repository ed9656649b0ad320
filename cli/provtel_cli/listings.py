"""``provtel entities``, ``provtel agents`` and ``provtel campaigns``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from provtel_cli import options
from provtel_cli.answers import answers
from provtel_cli.output import explain_nothing, one_more, within

if TYPE_CHECKING:
    from provtel_cli.answers import Form

_ENTITY_COLUMNS: Final = ("hash", "value", "roles", "generated_by", "used_by")


@click.command()
@options.run_option
@click.option("--all", "all_runs", is_flag=True, help="The data of every run, not of the last alone.")
@options.where_option
@click.option("--role", metavar="NAME", help="Only what was used or generated in this role.")
@options.sort_option
@options.limit_option(50)
@answers
@options.store_option
def entities(
    *,
    run: str | None,
    all_runs: bool,
    conditions: tuple[str, ...],
    role: str | None,
    sort: str,
    limit: int,
    form: Form,
    store: str | None,
) -> None:
    """List the data that activities used and generated, each content once, in the order in which they came up.

    Conditions are of the activities.
    """
    from provtel_cli.where import filter_of

    if run and all_runs:
        raise click.UsageError("--run and --all exclude each other")
    where = filter_of(conditions)
    with options.opened(store) as opened:
        found = opened.entities(where, run=run, all_runs=all_runs, role=role, sort=sort, limit=one_more(limit))
        found = within(found, limit)
        if found:
            form.give(found, _ENTITY_COLUMNS)
        else:
            explain_nothing(opened, "data match" if where or role else "data")


@click.command()
@options.where_option
@options.sort_option
@options.limit_option(50)
@answers
@options.store_option
def agents(*, conditions: tuple[str, ...], sort: str, limit: int, form: Form, store: str | None) -> None:
    """List who acted, with their activities and failed tasks.

    Conditions are of the activities.
    """
    from provtel_cli.where import filter_of

    with options.opened(store) as opened:
        found = within(opened.agents(filter_of(conditions), sort=sort, limit=one_more(limit)), limit)
        if found:
            form.give(found, [*found[0]])
        else:
            explain_nothing(opened, "agents")


@click.command()
@options.where_option
@options.sort_option
@options.limit_option(50)
@answers
@options.store_option
def campaigns(*, conditions: tuple[str, ...], sort: str, limit: int, form: Form, store: str | None) -> None:
    """List campaigns, with their workflows and failed tasks.

    Conditions are of the activities.
    """
    from provtel_cli.where import filter_of

    with options.opened(store) as opened:
        found = within(opened.campaigns(filter_of(conditions), sort=sort, limit=one_more(limit)), limit)
        if found:
            form.give(found, [*found[0]])
        else:
            explain_nothing(opened, "campaigns")
