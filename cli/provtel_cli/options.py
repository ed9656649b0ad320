"""The options that commands share, and the store that they lead to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from provtel_model.errors import UserError

from provtel_cli.output import tell_elsewhere
from provtel_cli.places import PLACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provtel_query import Store

store_option = click.option(
    "--store",
    metavar="STORE",
    type=PLACE,
    envvar="PROVTEL_STORE",
    show_envvar=True,
    help="The store: a folder, a file such as x.jsonl, or an address; by default the nearest folder .provtel, upward "
    "from here.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
run_option = click.option(
    "--run",
    metavar="RUN",
    help="A run: its id, the name of its workflow, or the first digits of an id of a record in it.",
)
where_option = click.option(
    "--where",
    "conditions",
    metavar="FILTER",
    multiple=True,
    help="Only records that match: FIELD=VALUE, with != > >= < <= or ~ (a regular expression) as well, or a filter in "
    "JSON. Inputs are used.NAME, outputs generated.NAME. Several must all match.",
)
sort_option = click.option(
    "--sort", metavar="FIELDS", default="", help="Fields by commas, in order of weight, each with - before to descend."
)


def limit_option(default: int) -> Callable[[Any], Any]:
    """Return the option that limits how many are printed."""
    return click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=default,
        show_default=True,
        metavar="N",
        help="At most so many; 0 for all.",
    )


@contextmanager
def opened(store: str | None) -> Iterator[Store]:
    """Open the store that the options name; where a question fails, say what records it does not have."""
    from provtel_query import connect

    with connect(store) as found:
        try:
            yield found
        except UserError:
            tell_elsewhere(found)
            raise
