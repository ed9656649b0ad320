"""``provtel sql``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provtel_cli import options
from provtel_cli.answers import answers, rows_of
from provtel_cli.output import note

if TYPE_CHECKING:
    from provtel_cli.answers import Form


@click.command()
@click.argument("question", metavar="SELECT")
@answers
@options.store_option
def sql(*, question: str, form: Form, store: str | None) -> None:
    """Answer a select over the tables tasks, workflows, records, entities, agents and campaigns, of all runs.

    Columns are fields as filters know them: name, duration, used.lr, generated.loss, telemetry."cpu.user".

    \b
    provtel sql "select used.lr, avg(generated.loss) from tasks group by 1 order by 2"
    """  # noqa: D301  # \b keeps click from joining the lines
    with options.opened(store) as opened:
        found = rows_of(opened.sql(question, library="arrow"))
    if found:
        form.give(found, [*found[0]])
    else:
        note("the answer has no rows")
