"""``provtel ingest``."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from provtel_model.errors import StoreError, UserError

from provtel_cli import options
from provtel_cli.output import note, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.components import Signal
    from provtel_model.otlp.files import Entry
    from provtel_query.ingesting import Ingested

STDIN: Final = "-"
KAFKA: Final = "kafka://"


@click.command()
@click.argument("sources", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--from-offset",
    metavar="WHERE",
    help="Of a topic of Kafka, where to begin: an offset, a time such as 2026-05-01T12:00:00+00:00, or, by default, "
    "`beginning`.",
)
@click.option(
    "--signal",
    type=click.Choice(["traces", "metrics", "logs"]),
    help="What protobuf carries; by default what it looks like.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["otlp", "openlineage"]),
    default="otlp",
    show_default=True,
    help="What the files hold: OTLP, or events of OpenLineage in JSON, one a line or in a list.",
)
@click.option(
    "--keep-going", is_flag=True, help="Pass over what is malformed, and tell it; without, the first one ends it."
)
@options.json_option
@options.store_option
def ingest(
    *,
    sources: tuple[str, ...],
    from_offset: str | None,
    signal: str | None,
    form: str,
    keep_going: bool,
    as_json: bool,
    store: str | None,
) -> None:
    """Bring OTLP, or OpenLineage, that others kept into a store.

    FILE has a request a line in JSON, as the OpenTelemetry Collector's file exporter writes it, requests in protobuf
    behind their lengths, or one request; gzip and Zstandard are unpacked. It is - for standard input, or a topic,
    kafka://host:port/topic, of which what is there now is taken. Whatever the store has already is a duplicate, so
    that the same may be taken again.

    \b
    provtel ingest traces.jsonl old/*.jsonl.gz
    provtel ingest kafka://localhost:9092/otlp_spans --from-offset 2026-05-01
    """  # noqa: D301  # \b keeps click from joining the lines
    from provtel_exporters.file.contents import contents_of
    from provtel_model.components import Signal
    from provtel_model.store_folder import find_store
    from provtel_query.ingesting import Ingest
    from provtel_query.stores import open_writer, shown

    if from_offset is not None and not any(source.startswith(KAFKA) for source in sources):
        raise click.UsageError("--from-offset is for a topic of Kafka")
    if form == "openlineage":
        _ingest_openlineage(sources, store or str(find_store()), as_json=as_json)
        return
    wanted = Signal(signal) if signal else None
    with closing(open_writer(store or str(find_store()))) as writer:
        work = Ingest(writer, contents_of, keep_going=keep_going)
        try:
            for source in sources:
                if not work.take(shown(source), _entries(source, wanted, from_offset)):
                    break
        finally:
            _tell(work.done, as_json=as_json)
    if work.done.malformed and not keep_going:
        raise UserError(
            f"{work.done.reasons[0]}; nothing of it was stored, nor what follows; --keep-going passes over it"
        )
    for reason in work.done.reasons:
        note(f"{reason}; it was passed over")
    if work.done.malformed > len(work.done.reasons):
        note(f"{work.done.malformed} were passed over")


def _ingest_openlineage(sources: tuple[str, ...], store: str, *, as_json: bool) -> None:
    from provtel_model.errors import MalformedError
    from provtel_query.ingesting import Ingested
    from provtel_query.openlineage import read_file
    from provtel_query.stores import open_writer

    done = Ingested()
    try:
        held = [read_file(Path("/dev/stdin" if source == STDIN else source)) for source in sources]
    except MalformedError as error:
        raise UserError(f"{error}; nothing was stored") from error
    with closing(open_writer(store)) as writer:
        for records in held:
            written = writer.write(records)
            done.requests += 1
            done.stored["records"] += written.stored
            done.duplicates["records"] += written.duplicates
    _tell(done, as_json=as_json)


def _entries(source: str, signal: Signal | None, from_offset: str | None) -> Iterator[Entry]:
    from provtel_model.otlp.files import entries

    if source.startswith(KAFKA):
        from provtel_exporters.kafka.past import BEGINNING, past_entries

        address = f"{source}{'&' if '?' in source else '?'}signal={signal}" if signal else source
        yield from past_entries(address, from_offset or BEGINNING)
        return
    try:
        with ExitStack() as stack:
            stream = sys.stdin.buffer if source == STDIN else stack.enter_context(open(source, "rb"))  # noqa: PTH123
            yield from entries(stream, signal)
    except OSError as error:
        raise StoreError(f"{source} cannot be read: {error.strerror or error}") from None


def _tell(done: Ingested, *, as_json: bool) -> None:
    if as_json:
        print_json([done.as_json()])
        return
    names = {"records": "record", "points": "data point", "logs": "log record"}
    lines = [
        f"{_count(done.stored[kind], name)} stored, {done.duplicates[kind]} there already"
        for kind, name in names.items()
        if kind == "records" or done.stored[kind] or done.duplicates[kind]
    ]
    lines += [f"{_count(done.skipped, 'item')} skipped"] if done.skipped else []
    click.echo(f"{_count(done.requests, 'request')}: {'; '.join(lines)}")


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
