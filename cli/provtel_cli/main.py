"""The command ``provtel``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click
from provtel_model.errors import FilterError, UserError

from provtel_cli.lazy import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

COMMANDS: Final = {
    "run": (
        "provtel_cli.run:run",
        "Run a command, and record it.",
    ),
    "tasks": ("provtel_cli.tasks:tasks", "List the tasks of a run, newest first."),
    "workflows": ("provtel_cli.workflows:workflows", "List workflows, newest first."),
    "campaigns": ("provtel_cli.listings:campaigns", "List campaigns."),
    "entities": ("provtel_cli.listings:entities", "List the data that activities used and generated."),
    "agents": ("provtel_cli.listings:agents", "List who acted."),
    "sql": ("provtel_cli.sql:sql", "Answer a question in SQL."),
    "show": ("provtel_cli.show:show", "Show all that is known of an activity."),
    "lineage": ("provtel_cli.lineage:lineage", "Show where something came from, or what came of it."),
    "watch": ("provtel_cli.watch:watch", "Show records as they come and change."),
    "diff": ("provtel_cli.diff:diff", "Show what is different between two runs."),
    "annotate": ("provtel_cli.annotate:annotate", "Say something of an activity or a datum."),
    "annotations": ("provtel_cli.annotate:list_annotations", "List what was said of activities and data."),
    "export": ("provtel_cli.export:export", "Write a run as a W3C PROV document."),
    "copy": ("provtel_cli.copy:copy", "Copy what a store has into another, and verify the copy."),
    "prov": ("provtel_cli.prov:prov", "Check W3C PROV documents, and import them."),
    "ingest": ("provtel_cli.ingest:ingest", "Bring OTLP that others kept into a store."),
    "ship": ("provtel_cli.ship:ship", "Send what waits in journals to an OTLP endpoint."),
    "delete": ("provtel_cli.delete:delete", "Delete a run."),
    "store": ("provtel_cli.store:store", "Look after a store."),
    "status": ("provtel_cli.status:status", "Show what a store holds, and what waits in journals."),
    "collector": ("provtel_cli.collector:collector", "Run a collector, or check its configuration."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog='Completion of words by Tab: eval "$(_PROVTEL_COMPLETE=bash_source provtel)", or zsh_source, fish_source.',
)
@click.version_option(package_name="provtel", message="%(prog)s %(version)s")
def provtel() -> None:
    """Ask what computations did, what they used and generated, and what they cost.

    Every command that reads first brings in what this user's processes have recorded and nobody has brought in yet. It
    prints a table for people, or with --json one object a line for programs.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of this process; return its exit code.

    That is 0, 1 where it failed, 2 where it was called wrongly, 130 where it was interrupted.
    """
    try:
        result = provtel.main(arguments, prog_name="provtel", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except UserError as error:
        click.echo(f"provtel: {error}", err=True)
        return USAGE if isinstance(error, FilterError) else FAILED
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
