"""The options that commands share, and the store that they lead to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click
from provtel_model.errors import UserError

from provtel_cli.output import tell_elsewhere
from provtel_cli.places import PLACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provtel_query import Store

_CONFIGS: Final = "provtel_cli.configs"


def _keep_configs(ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> None:
    ctx.meta[_CONFIGS] = value


def _resolved(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Return the store that is meant: one that a configuration names, where there is one."""
    configs = ctx.meta.get(_CONFIGS)
    if not configs:
        return value
    from provtel_cli.configuration import location_of

    typed = ctx.get_parameter_source(str(param.name)) is click.core.ParameterSource.COMMANDLINE
    return location_of(configs, value if typed else None)


def store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which store is meant."""
    store = click.option(
        "--store",
        metavar="STORE",
        type=PLACE,
        envvar="PROVTEL_STORE",
        show_envvar=True,
        callback=_resolved,
        help="The store: a folder, a file such as x.jsonl, an address, or with --config the id of an exporter; by "
        "default the nearest folder .provtel, upward from here.",
    )
    config = click.option(
        "--config",
        metavar="FILE",
        multiple=True,
        is_eager=True,
        expose_value=False,
        callback=_keep_configs,
        help="A collector's configuration: its exporter that --store names, or its only one with a store, is read.",
    )
    return store(config(command))


PROV_FORMATS: Final = ("prov-json", "prov-n", "prov-xml", "prov-o", "prov-jsonld")
"""The serialisations of PROV, by the names that `provtel_query.prov_files` has for them."""

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
