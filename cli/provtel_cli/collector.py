"""``provtel collector``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from provtel_cli import options
from provtel_cli.configuration import loaded, need_extra
from provtel_cli.output import console, note, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from provtel_collector_config.ids import Kind
    from provtel_collector_config.sources import Sources
    from provtel_model.components import Factory

_Named = tuple[tuple[str, ...], tuple[str, ...]]
"""What ``--config`` and what ``--set`` were given."""

_PRESET: Final = "preset:"


def _complete_config(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return what a word may become: a preset or a file."""
    from provtel_collector_config.presets import presets

    named = [_PRESET + name for name in presets()]
    matching = [CompletionItem(name) for name in named if name.startswith(incomplete)]
    return matching if incomplete.startswith(_PRESET) else [*matching, CompletionItem(incomplete, type="file")]


def _sourced(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say what the configuration is."""
    config = click.option(
        "--config",
        "configs",
        multiple=True,
        metavar="FILE|preset:NAME|env:NAME|yaml:TEXT",
        shell_complete=_complete_config,
        help="A configuration: a file, one that ships with provtel, a variable's, or one written out. Several merge, "
        "the later wins.",
    )
    setting = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY.PATH=VALUE",
        help="One value, which counts more than every --config; processors.batch.timeout=2s.",
    )
    return config(setting(command))


@click.group(invoke_without_command=True)
@_sourced
@click.pass_context
def collector(context: click.Context, configs: tuple[str, ...], settings: tuple[str, ...]) -> None:
    """Run a collector until it is told to stop by Ctrl-C or SIGTERM; SIGHUP makes it read its configuration again.

    It takes OpenTelemetry data from programs and journals, and gives it to stores. What it does, its configuration
    says, in the grammar of the OpenTelemetry Collector. To begin with: provtel collector --config preset:embedded
    """
    context.obj = configs, settings
    if context.invoked_subcommand is None:
        sources = _sources(context.obj, (), ())
        configuration = loaded(sources)
        from provtel_collector.process import run

        run(configuration, reload=lambda: loaded(sources))


@collector.command()
@_sourced
@click.pass_obj
def validate(before: _Named, configs: tuple[str, ...], settings: tuple[str, ...]) -> None:
    """Check a configuration, and tell everything that is wrong with it."""
    configuration = loaded(_sources(before, configs, settings))
    for warning in configuration.warnings:
        note(warning)
    from provtel_collector.service import Service

    Service(configuration)  # some components say only when they are made that they cannot be


@collector.command("print-config")
@_sourced
@click.option(
    "--mode",
    type=click.Choice(["redacted", "unredacted"]),
    default="redacted",
    show_default=True,
    help="Hide secrets or show them.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How it is written.",
)
@click.option(
    "--validate",
    "check",
    type=bool,
    default=True,
    show_default=True,
    help="Refuse a configuration whose parts do not fit together.",
)
@click.pass_obj
def print_config(
    before: _Named,
    configs: tuple[str, ...],
    settings: tuple[str, ...],
    mode: str,
    format_: str,
    *,
    check: bool,
) -> None:
    """Print the configuration that counts: merged, references followed, with every default."""
    configuration = loaded(_sources(before, configs, settings), check=check)
    from provtel_collector_config import printing

    document = printing.document(configuration, reveal=mode == "unredacted")
    click.echo(printing.as_yaml(document) if format_ == "yaml" else printing.as_json(document), nl=False)


@collector.command()
@_sourced
@click.argument("exporters", nargs=-1)
@options.json_option
@click.pass_obj
def replay(
    before: _Named, configs: tuple[str, ...], settings: tuple[str, ...], exporters: tuple[str, ...], *, as_json: bool
) -> None:
    """Send again what EXPORTERS could not deliver and put aside; all of them where none is named.

    What a destination refuses for good is put into a file of dead letters, with the reason. When the reason is gone,
    this sends the letters again, also while the collector runs. What is refused again stays.
    """
    from provtel_cli.replaying import replay_dead_letters

    replay_dead_letters(loaded(_sources(before, configs, settings)), exporters, as_json=as_json)


@collector.command()
@options.json_option
def components(*, as_json: bool) -> None:
    """List the component types that a configuration can name.

    A file that names only those which the OpenTelemetry Collector has too, as the column otelcol says, runs on both.
    """
    rows = list(_components())
    if as_json:
        print_json(rows)
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("kind", "type", "stability", "signals", "otelcol", "package"):
        table.add_column(column)
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    console().print(table)


@collector.command()
def schema() -> None:
    """Print a JSON schema of configurations, which editors check and complete them by.

    It knows every component type that is installed, and the meaning and the default of each key.
    """
    from provtel_collector_config.printing import as_json
    from provtel_collector_config.schema import schema as made

    click.echo(as_json(made(_factories())), nl=False)


def _factories() -> Mapping[Kind, Mapping[str, Factory]]:
    """Return the component types that there are; note which ones cannot be used here."""
    need_extra()
    from provtel_collector.registry import find_loadable

    factories, missing = find_loadable()
    for line in missing:
        note(line)
    return factories


def _cell(value: str | bool | list[str]) -> str:  # noqa: FBT001  # one of the values of a row
    if isinstance(value, bool):
        return "too" if value else ""
    return ", ".join(value) if isinstance(value, list) else value


def _components() -> Iterable[dict[str, str | bool | list[str]]]:
    from provtel_collector.registry import package_of
    from provtel_collector_config.shared import is_shared

    for kind, factories in _factories().items():
        for type_, factory in factories.items():
            signals = sorted(map(str, factory.signals)) if kind != "extensions" else []
            yield {
                "kind": str(kind.one),
                "type": type_,
                "stability": factory.stability,
                "signals": signals,
                "shared": is_shared(kind, type_),
                "package": package_of(kind, type_),
            }


def _sources(before: _Named, configs: tuple[str, ...], settings: tuple[str, ...]) -> Sources:
    """Return what the options of the group and those of its command name together."""
    need_extra()
    from provtel_collector_config.sources import Sources

    sources = Sources(before[0] + configs, before[1] + settings)
    if not sources.configs:
        raise click.UsageError("name a configuration: --config FILE, or --config preset:embedded to begin with")
    return sources
