"""The reference page of the command line, from its own help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from provtel_cli.main import provtel

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "reference/cli.md"

_INTRODUCTION = """\
# The command `provtel`

What `--help` says, for each command. [How to ask questions](../how-to/ask-questions.md) shows them at work.

Answers go to standard output, everything else to standard error. The exit code is 0, 1 where a command failed, 2 where
it was called wrongly, 130 where it was interrupted.
"""
_WIDTH = 100


def render() -> str:
    """Return the page."""
    context = click.Context(
        provtel,
        info_name="provtel",
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        help_option_names=provtel.context_settings["help_option_names"],
    )
    return "\n".join([_INTRODUCTION, *_sections(provtel, context)])


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    path = context.command_path
    yield f"{'#' * min(path.count(' ') + 2, 4)} {path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _sections(inner, click.Context(inner, parent=context, info_name=name))
