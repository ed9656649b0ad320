"""``provtel entities``, ``provtel agents`` and ``provtel campaigns``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from provtel_cli import options
from provtel_cli.answers import answers
from provtel_cli.output import explain_nothing, one_more, within

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_query import Store

    from provtel_cli.answers import Form

_ENTITY_COLUMNS: Final = ("hash", "value", "roles", "generated_by", "used_by")


@click.command()
@options.run_option
@click.option("--all", "all_runs", is_flag=True, help="The data of every run, not of the last alone.")
@options.where_option
@click.option("--role", metavar="NAME", help="Only what was used or generated in this role.")
@click.option("--hash", "content", metavar="HASH", help="Only what has this hash, or one that begins so: sha256:0a1b.")
@options.sort_option
@options.limit_option(50)
@answers
@options.store_option
def entities(  # noqa: PLR0913  # what a person may say
    *,
    run: str | None,
    all_runs: bool,
    conditions: tuple[str, ...],
    role: str | None,
    content: str | None,
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
        found = opened.entities(
            where, run=run, all_runs=all_runs, role=role, content=content, sort=sort, limit=one_more(limit)
        )
        found = within(found, limit)
        if found:
            form.give(found, _ENTITY_COLUMNS)
        else:
            explain_nothing(opened, "data match" if where or role or content else "data")


def _counted(what: str, said: str, question: Callable[[Store], Callable[..., list[dict[str, Any]]]]) -> click.Command:
    """Return the command that lists what activities are counted by.

    Args:
        what: Its name, and what it lists.
        said: What its help says.
        question: Returns the method that answers it.
    """

    @click.command(what, help=f"{said}\n\nConditions are of the activities.")
    @options.where_option
    @options.sort_option
    @options.limit_option(50)
    @answers
    @options.store_option
    def listing(*, conditions: tuple[str, ...], sort: str, limit: int, form: Form, store: str | None) -> None:
        from provtel_cli.where import filter_of

        with options.opened(store) as opened:
            found = within(question(opened)(filter_of(conditions), sort=sort, limit=one_more(limit)), limit)
            if found:
                form.give(found, [*found[0]])
            else:
                explain_nothing(opened, what)

    return listing


agents = _counted("agents", "List who acted, with their activities and failed tasks.", lambda store: store.agents)
campaigns = _counted(
    "campaigns", "List campaigns, with their workflows and failed tasks.", lambda store: store.campaigns
)
