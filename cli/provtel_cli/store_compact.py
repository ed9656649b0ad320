"""``provtel store compact``."""

from __future__ import annotations

import click
from provtel_model.errors import UnsupportedError

from provtel_cli import options
from provtel_cli.output import print_json
from provtel_cli.places import lmdb_folder, located


@click.command()
@options.json_option
@options.store_option
def compact(*, as_json: bool, store: str | None) -> None:
    """Write the file of a store folder anew without the space of what was deleted.

    Nobody else may have the store open: end its collector and whoever reads it. The new file lies beside the old one
    until it is whole; where the disk has no room for it, or this is killed, the store is as it was.

    Of a store on a network file system small segments are merged into one, by way of the folder for temporary files
    (TMPDIR); there everybody may go on to read and write.
    """
    from provtel_exporters.lmdb import upkeep
    from provtel_query.stores import shown
    from provtel_query.text import size_text

    folder = lmdb_folder(located(store))
    location = shown(located(store))
    if folder is None:
        raise UnsupportedError(f"{location} is no store folder; only those are compacted")
    done = upkeep.compact(folder.parent)
    if as_json:
        print_json([{"store": location, "before": done.before, "after": done.after}])
    else:
        click.echo(f"{location}: {size_text(done.before)} before, {size_text(done.after)} after")
