"""``provtel export``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from provtel_cli import options
from provtel_cli.output import note

_FORMATS = {"prov-json": "json"}


@click.command()
@click.argument("run", metavar="[RUN]", required=False)
@click.option(
    "--format", "form", type=click.Choice(list(_FORMATS)), default="prov-json", show_default=True, help="The format."
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write into a file."
)
@options.store_option
def export(*, run: str | None, form: str, output: Path | None, store: str | None) -> None:
    """Write a run, by default the last one, as a W3C PROV document.

    RUN is its id, the name of its workflow, or the first digits of an id of a record in it.
    """
    with options.opened(store) as opened:
        text = opened.prov(run).serialize(format=_FORMATS[form])
    if output is None:
        click.echo(text)
    else:
        _write(output, f"{text}\n")
        note(f"the document is {output}")


def _write(output: Path, text: str) -> None:
    """Write a file whole or not at all."""
    from provtel_model.errors import UserError

    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        unfinished.write_text(text)
        unfinished.replace(output)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise UserError(f"{output} cannot be written: {error.strerror}") from None
