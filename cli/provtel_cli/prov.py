"""``provtel prov``: PROV documents of any origin."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from provtel_model.errors import UserError

from provtel_cli import options
from provtel_cli.output import console, note, print_json

if TYPE_CHECKING:
    from provtel_query.constraints import Finding

_format_option = click.option(
    "--format", "form", type=click.Choice(options.PROV_FORMATS), help="The format; by default what the file says."
)


@click.group()
def prov() -> None:
    """Work with W3C PROV documents, ours or others'."""


@prov.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_format_option
@click.option("--strict", is_flag=True, help="Let recorded times that contradict the order of events fail too.")
@options.json_option
def check(*, file: Path, form: str | None, strict: bool, as_json: bool) -> int:
    """Check a document against PROV-CONSTRAINTS.

    Prints each rule that is broken, why, and the records that break it; the exit code is 1 where there is one. Times
    that contradict the order of events are warnings: the recommendation leaves them open, because clocks differ.
    """
    from provtel_query.constraints import check as check_document
    from provtel_query.prov_files import read_prov

    verdict = check_document(read_prov(file, form))
    findings = [("violation", found) for found in verdict.violations]
    findings += [("warning", found) for found in verdict.warnings]
    if as_json:
        print_json({"severity": severity, **asdict(found)} for severity, found in findings)
    else:
        for severity, found in findings:
            _print(severity, found)
        valid = "valid" if verdict.valid else "not valid"
        note(
            f"{file} is {valid}: {verdict.statements} statements, {len(verdict.violations)} violations, "
            f"{len(verdict.warnings)} warnings"
        )
    return 1 if verdict.violations or (strict and verdict.warnings) else 0


@prov.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_format_option
@click.option("--strict", is_flag=True, help="Refuse a document that is not valid; without, that is a warning.")
@options.json_option
@options.store_option
def import_document(*, file: Path, form: str | None, strict: bool, as_json: bool, store: str | None) -> None:
    """Bring a document into a store.

    What `provtel export` wrote comes back as the records that it was. Of other documents each activity becomes a
    record, and the document itself is kept, whole, in one more of the kind `document`. The same document is stored
    once, however often it is imported.
    """
    from provtel_model.store_folder import find_store
    from provtel_query.constraints import check as check_document
    from provtel_query.prov_files import read_prov
    from provtel_query.prov_import import DOCUMENT, read_records
    from provtel_query.stores import open_writer

    document = read_prov(file, form)
    broken = check_document(document).violations
    if broken and strict:
        raise UserError(f"{file} is not valid: {broken[0].reason}; `provtel prov check` tells all; nothing was stored")
    records = read_records(document)
    with closing(open_writer(store or str(find_store()))) as writer:
        written = writer.write(records)
    documents = sum(plain["kind"] == DOCUMENT for plain in records)
    told = {"activities": len(records) - documents, "documents": documents}
    told |= {"stored": written.stored, "duplicates": written.duplicates, "violations": len(broken)}
    if as_json:
        print_json([told])
    else:
        click.echo(
            f"{told['activities']} activities, {documents} documents: {written.stored} records stored, "
            f"{written.duplicates} there already"
        )
    if broken:
        note(
            f"{file} is not valid: {len(broken)} violations, which `provtel prov check` tells; it was imported as it is"
        )


def _print(severity: str, found: Finding) -> None:
    rule = found.name if found.rule is None else f"{found.rule} {found.name}"
    where = f" in {found.bundle}" if found.bundle else ""
    console().print(f"{severity} of {rule}{where}: {found.reason}")
    for record in found.records:
        console().print(f"  {record}")
