"""``provtel export``."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import click

from provtel_cli import options
from provtel_cli.output import note, print_json

_FORMATS = {"prov-json": "json"}
_OPENLINEAGE = "openlineage"
_CRATE = "ro-crate"


@click.command()
@click.argument("run", metavar="[RUN]", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice([*_FORMATS, _OPENLINEAGE, _CRATE]),
    default="prov-json",
    show_default=True,
    help="The format.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write into a file; a crate into a folder."
)
@click.option("--copy-files", is_flag=True, help="Copy the files that were used and generated into the crate.")
@options.json_option
@options.store_option
def export(
    *, run: str | None, form: str, output: Path | None, copy_files: bool, as_json: bool, store: str | None
) -> None:
    """Write a run, by default the last one, as a W3C PROV document, as events of OpenLineage, or as an RO-Crate.

    RUN is its id, the name of its workflow, or the first digits of an id of a record in it. Without --output the
    document itself is printed, which is JSON on one line; with it, --json prints where it is and what it holds.
    """
    if copy_files and form != _CRATE:
        raise click.UsageError("--copy-files is for --format ro-crate")
    if form == _CRATE:
        _export_crate(run, output, store, copy=copy_files, as_json=as_json)
        return
    if form == _OPENLINEAGE:
        _export_openlineage(run, output, store, as_json=as_json)
        return
    with options.opened(store) as opened:
        document = opened.prov(run)
        text = document.serialize(format=_FORMATS[form])
    if output is None:
        click.echo(text)
        return
    _write(output, f"{text}\n")
    if as_json:
        counts = Counter(record.get_type().localpart for record in document.get_records())
        print_json([{"format": form, "output": str(output), "records": dict(sorted(counts.items()))}])
    else:
        note(f"the document is {output}")


def _export_crate(run: str | None, output: Path | None, store: str | None, *, copy: bool, as_json: bool) -> None:
    if output is None:
        raise click.UsageError("an RO-Crate is a folder; name it by --output")
    with options.opened(store) as opened:
        crate = opened.crate(output, run, copy=copy)
    for place in crate.changed:
        note(f"{place} is not what it was at the run, or gone; it was left out")
    if as_json:
        counts = {"entities": crate.entities, "files": crate.files}
        print_json([{"format": _CRATE, "output": str(output), **counts, "changed": list(crate.changed)}])
    else:
        note(f"the crate is {output}")


def _export_openlineage(run: str | None, output: Path | None, store: str | None, *, as_json: bool) -> None:
    with options.opened(store) as opened:
        events = opened.openlineage(run)
    if output is None:
        print_json(events)
        return
    _write(output, "".join(f"{json.dumps(event, ensure_ascii=False)}\n" for event in events))
    if as_json:
        print_json([{"format": _OPENLINEAGE, "output": str(output), "events": len(events)}])
    else:
        note(f"the events are in {output}")


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
