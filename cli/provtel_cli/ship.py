"""``provtel ship``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from provtel_model.errors import UserError

from provtel_cli import options
from provtel_cli.output import console, note, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_cli.shipping import Shipment


def _address(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    from provtel.settings import TABLE

    if text is None:
        return None
    (setting,) = (setting for setting in TABLE if setting.name == "endpoint")
    try:
        return str(setting.parse(text))
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}") from None


@click.command()
@click.option(
    "--endpoint",
    metavar="URL",
    callback=_address,
    help="Send everything that waits here, also what was to go to the store; by default each journal goes to the "
    "endpoint that its process had.",
)
@options.json_option
@options.store_option
def ship(*, endpoint: str | None, as_json: bool, store: str | None) -> None:
    """Send what waits in journals to an OTLP endpoint.

    What a process could not send before it ended stays in the store's folder. This sends it, and removes what the
    endpoint acknowledged; the rest stays, and the answer says why. Journals of processes that still run are left to
    them.
    """
    from provtel_cli.shipping import ship_journals

    folder = _folder(store)
    shipments = ship_journals(folder, endpoint)
    if as_json:
        print_json(shipment.as_json() for shipment in shipments)
    elif shipments:
        _print_table(shipments)
    if not shipments:
        note(f"nothing waits in {folder} to be sent to {endpoint or 'an endpoint'}")
    failed = [shipment for shipment in shipments if shipment.failed]
    if failed:
        kept = sum(shipment.left for shipment in failed)
        raise UserError(f"{_records(kept)} could not be sent and stay in {folder}: {failed[0].reason}")


def _folder(store: str | None) -> Path:
    from provtel_model.store_folder import find_store

    if store is not None and "://" in store:
        raise click.UsageError(f"--store {store}: journals wait in a store folder, such as one named .provtel")
    return Path(store).expanduser().absolute() if store is not None else find_store().absolute()


def _print_table(shipments: Sequence[Shipment]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("journal", "to", "sent", "stays", ""):
        table.add_column(column, overflow="fold")
    for shipment in shipments:
        row = (shipment.journal.name, shipment.endpoint, str(shipment.sent), str(shipment.left), shipment.reason)
        table.add_row(*row)
    console().print(table)


def _records(count: int) -> str:
    return f"{count} record{'' if count == 1 else 's'}"
