"""``provtel export``."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from provtel_cli import options
from provtel_cli.output import note, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_query import Store

_PROV_JSON = "prov-json"
_OPENLINEAGE = "openlineage"
_CRATE = "ro-crate"


@click.command()
@click.argument("run", metavar="[RUN]", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice([*options.PROV_FORMATS, _OPENLINEAGE, _CRATE]),
    default=_PROV_JSON,
    show_default=True,
    help="The format.",
)
@click.option("--campaign", metavar="NAME", help="All runs of a campaign, instead of one run; PROV only.")
@click.option(
    "--of", metavar="ID|VALUE", help="What an activity or a datum came from, instead of a run; as lineage; PROV only."
)
@click.option("--bundles", is_flag=True, help="Make each run a PROV bundle.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write into a file; a crate into a folder."
)
@click.option("--copy-files", is_flag=True, help="Copy the files that were used and generated into the crate.")
@options.json_option
@options.store_option
def export(  # noqa: PLR0913  # what a person may say
    *,
    run: str | None,
    form: str,
    campaign: str | None,
    of: str | None,
    bundles: bool,
    output: Path | None,
    copy_files: bool,
    as_json: bool,
    store: str | None,
) -> None:
    """Write a run, by default the last one, as a W3C PROV document, as events of OpenLineage, or as an RO-Crate.

    RUN is its id, the name of its workflow, or the first digits of an id of a record in it. Without --output the
    document itself is printed; with it, --json prints where it is and what it holds.
    """
    if copy_files and form != _CRATE:
        raise click.UsageError("--copy-files is for --format ro-crate")
    if (campaign or of or bundles) and form not in options.PROV_FORMATS:
        raise click.UsageError(f"--campaign, --of and --bundles are for {', '.join(options.PROV_FORMATS)}")
    with options.opened(store) as opened:
        if form == _CRATE:
            _export_crate(opened, run, output, copy=copy_files, as_json=as_json)
        elif form == _OPENLINEAGE:
            _export_openlineage(opened, run, output, as_json=as_json)
        elif form == _PROV_JSON and not bundles:
            _export_prov_json(opened, run, campaign, of, output, as_json=as_json)
        else:
            _export_prov(opened, form, run, campaign, of, output, bundles=bundles, as_json=as_json)


def _export_prov_json(
    store: Store, run: str | None, campaign: str | None, of: str | None, output: Path | None, *, as_json: bool
) -> None:
    with _writing(output) as stream:
        statements = store.write_prov_json(stream.write, run, campaign=campaign, of=of)
        stream.write("\n")
    _tell(_PROV_JSON, output, {"statements": statements}, as_json=as_json)


def _export_prov(  # what was asked for
    store: Store,
    form: str,
    run: str | None,
    campaign: str | None,
    of: str | None,
    output: Path | None,
    *,
    bundles: bool,
    as_json: bool,
) -> None:
    from provtel_query.prov_files import prov_text

    document = store.prov(run, campaign=campaign, of=of, bundles=bundles)
    with _writing(output) as stream:
        stream.write(prov_text(document, form).rstrip("\n") + "\n")
    parts = [document, *document.bundles]
    counts = Counter(record.get_type().localpart for part in parts for record in part.get_records())
    _tell(form, output, {"statements": sum(counts.values())}, as_json=as_json)


def _export_crate(store: Store, run: str | None, output: Path | None, *, copy: bool, as_json: bool) -> None:
    if output is None:
        raise click.UsageError("an RO-Crate is a folder; name it by --output")
    crate = store.crate(output, run, copy=copy)
    for place in crate.changed:
        note(f"{place} is not what it was at the run, or gone; it was left out")
    counts = {"entities": crate.entities, "files": crate.files, "changed": list(crate.changed)}
    _tell(_CRATE, output, counts, as_json=as_json)


def _export_openlineage(store: Store, run: str | None, output: Path | None, *, as_json: bool) -> None:
    events = store.openlineage(run)
    with _writing(output) as stream:
        stream.writelines(f"{json.dumps(event, ensure_ascii=False)}\n" for event in events)
    _tell(_OPENLINEAGE, output, {"events": len(events)}, as_json=as_json)


def _tell(form: str, output: Path | None, counts: dict[str, object], *, as_json: bool) -> None:
    if output is None:
        return
    if as_json:
        print_json([{"format": form, "output": str(output), **counts}])
    else:
        note(f"written to {output}")


@contextmanager
def _writing(output: Path | None) -> Iterator[IO[str]]:
    """Give a stream into a file, which is there whole or not at all; without a file, standard output."""
    from provtel_model.errors import UserError

    if output is None:
        yield sys.stdout
        return
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with unfinished.open("w", encoding="utf-8") as stream:
            yield stream
        unfinished.replace(output)
    except OSError as error:
        raise UserError(f"{output} cannot be written: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)
