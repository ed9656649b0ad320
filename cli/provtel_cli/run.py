"""``provtel run``."""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem
from provtel_model.errors import UserError

from provtel_cli.output import note

if TYPE_CHECKING:
    from provtel.command import Ended

_MOST: Final = 200


def _complete_file(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return what a word may become: a file; behind ROLE= the shell would replace the role, so it is left alone."""
    return [] if "=" in incomplete else [CompletionItem(incomplete, type="file")]


def _complete_command(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return what a word may become: at first a program, later a file."""
    files = CompletionItem(incomplete, type="file")
    if context.params.get("command") or os.sep in incomplete or not incomplete:
        return [files]
    return [*map(CompletionItem, sorted(_programs(incomplete))[:_MOST]), files]


def _programs(start: str) -> set[str]:
    found: set[str] = set()
    for folder in os.get_exec_path():
        if Path(folder).is_dir():
            found |= {entry.name for entry in os.scandir(folder) if entry.name.startswith(start)}
    return found


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--name", metavar="NAME", help="Its name; by default its program's, of a Python its script's.")
@click.option("--campaign", metavar="NAME", help="What it belongs to, together with other runs.")
@click.option("--tag", "tags", multiple=True, metavar="WORD", help="A word to find it by. Several may be given.")
@click.option(
    "--used",
    multiple=True,
    metavar="[ROLE=]FILE",
    shell_complete=_complete_file,
    help="A file that it reads, known by its content; the role is the file's name unless said. Several may be given.",
)
@click.option(
    "--generated",
    multiple=True,
    metavar="[ROLE=]FILE",
    shell_complete=_complete_file,
    help="A file that it writes, likewise, as it is when the command has ended.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, shell_complete=_complete_command)
def run(*, command: tuple[str, ...], used: tuple[str, ...], generated: tuple[str, ...], **told: Any) -> int:
    """Run a command, and record it.

    It is a workflow, or a task where it is started in a run that is recorded already. Recorded are its arguments
    without secrets, its files, how it ended and what it cost. Pythons that it starts are
    instrumented, as by opentelemetry-instrument; what they and others record belongs to it, because TRACEPARENT and
    BAGGAGE in its environment say so. Its input, its output, its signals and its exit code are its own; 127 says that
    there is no such command, 126 that it cannot be executed. What begins with a dash belongs to COMMAND behind its
    first word, or behind --.
    """
    from provtel import command as commands

    # The first to be registered comes last: then all is sent that was to be sent.
    last_words: list[Ended] = []
    atexit.register(_leave_as, last_words)
    said = commands.Told(used=tuple(map(_file, used)), generated=tuple(map(commands.file_of, generated)), **told)
    try:
        ended = commands.run_recorded(command, said)
    except commands.CannotStartError as error:
        note(str(error))
        return error.code
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    last_words.append(ended)
    try:
        _bring_in()
    except KeyboardInterrupt:
        note("what was recorded was not brought into the store; the next command that reads it does that")
    return ended.code


def _file(text: str) -> Any:
    from provtel.command import file_of

    found = file_of(text)
    if not found.path.is_file():
        raise click.BadParameter(f"{found.path}: there is no such file", param_hint="--used")
    return found


def _bring_in() -> None:
    """Bring into the store what this process and those that it started recorded."""
    from provtel.command import store_to_fill

    store = store_to_fill()
    if store is None:
        return
    from provtel_query.connect import bring_pending

    try:
        bring_pending(store)
    except UserError as error:
        note(f"what was recorded waits in journals: {error}")


def _leave_as(ended: list[Ended]) -> None:
    from provtel.command import die_by

    for one in ended:
        if one.signal is not None:
            die_by(one.signal)
