"""What the exporters into stores have in common: a batch goes in as records, data points and log records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel_model.errors import MalformedError, PermanentError
from provtel_model.otlp import decode
from provtel_model.otlp.observations import decode_logs, decode_points

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context, Writer, WriteResult

STORED: Final = "exporter_stored_records"
DUPLICATE: Final = "exporter_duplicate_records"


def store(batch: Batch, writer: Writer, context: Context) -> int:
    """Write what a batch holds, and report how much of it was stored and how much was there already.

    Returns:
        How many of the batch's items have a form in a store.

    Raises:
        RetryableError: Not all of it was written; the same batch may be given again.
        PermanentError: The batch is malformed, or the writer takes something of it never.
    """
    try:
        records, points, logs = decode(batch), decode_points(batch), decode_logs(batch)
    except MalformedError as error:
        raise PermanentError(str(error)) from error
    _tell(context, writer.write(records))
    _tell(context, writer.write_points(points))
    _tell(context, writer.write_logs(logs))
    return len(records) + len(points) + len(logs)


def _tell(context: Context, written: WriteResult) -> None:
    report(context, STORED, written.stored)
    report(context, DUPLICATE, written.duplicates)


def report(context: Context, name: str, count: int) -> None:
    """Report a count of an exporter, where there is one."""
    if count:
        context.report(name, count, {"exporter": context.id})
