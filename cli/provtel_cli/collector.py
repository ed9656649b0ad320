"""``provtel collector``."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import click
from provtel_model.errors import UserError

from provtel_cli import options
from provtel_cli.output import console, note, print_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provtel_collector_config.configuration import Configuration

_EXTRA: Final = ("httptools", "pydantic", "uvicorn")

_config_option = click.option(
    "--config",
    "sources",
    multiple=True,
    metavar="FILE|preset:NAME",
    help="A configuration: a file, or one that ships with provtel. Several merge, the later wins.",
)


@click.group(invoke_without_command=True)
@_config_option
@click.pass_context
def collector(context: click.Context, sources: tuple[str, ...]) -> None:
    """Run a collector until it is told to stop by Ctrl-C or SIGTERM.

    It takes OpenTelemetry data from programs and journals, and gives it to stores. What it does, its configuration
    says, in the grammar of the OpenTelemetry Collector. To begin with: provtel collector --config preset:embedded
    """
    context.obj = sources
    if context.invoked_subcommand is None:
        configuration = _load(sources)
        from provtel_collector.process import run

        run(configuration)


@collector.command()
@_config_option
@click.pass_obj
def validate(before: tuple[str, ...], sources: tuple[str, ...]) -> None:
    """Check a configuration, and tell everything that is wrong with it."""
    for warning in _load(before + sources).warnings:
        note(warning)


@collector.command()
@options.json_option
def components(*, as_json: bool) -> None:
    """List the component types that a configuration can name."""
    _need_extra()
    rows = list(_components())
    if as_json:
        print_json(rows)
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("kind", "type", "stability", "signals"):
        table.add_column(column)
    for row in rows:
        table.add_row(str(row["kind"]), str(row["type"]), str(row["stability"]), ", ".join(row["signals"]))
    console().print(table)


def _components() -> Iterable[dict[str, str | list[str]]]:
    from provtel_collector.registry import find_factories

    for kind, factories in find_factories().items():
        for type_, factory in factories.items():
            signals = sorted(map(str, factory.signals)) if kind != "extensions" else []
            yield {"kind": str(kind.one), "type": type_, "stability": factory.stability, "signals": signals}


def _load(sources: tuple[str, ...]) -> Configuration:
    _need_extra()
    from provtel_collector.registry import find_factories
    from provtel_collector_config.loading import load
    from provtel_collector_config.problems import InvalidConfigurationError

    if not sources:
        raise click.UsageError("name a configuration: --config FILE, or --config preset:embedded to begin with")
    try:
        return load(sources, find_factories())
    except InvalidConfigurationError as error:
        lines = "".join(f"\n  {problem}" for problem in error.problems)
        raise UserError(f"the configuration cannot be used{lines}") from error


def _need_extra() -> None:
    """Say what to install where a plain install is all there is."""
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise UserError(f'a collector needs {", ".join(missing)}; run: pip install "provtel[collector]"')
