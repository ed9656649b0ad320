"""Brings stores of older formats to this one: their rows and parts are as they are now, their index is built anew."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from provtel_exporters.lmdb.index.block import MOST_ROWS, entries_of
from provtel_exporters.lmdb.index.blocks import Blocks
from provtel_exporters.lmdb.parts import KnownParts, Parts
from provtel_exporters.lmdb.rows import entry_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import lmdb

    from provtel_exporters.lmdb.layout import Databases

_GONE: Final = {b"ids": False, b"postings": True}
"""The databases that are no more, and whether they were sorted."""


def migrating(env: lmdb.Environment) -> Callable[[lmdb.Transaction[Any], Databases], None]:
    """Return what migrates the files of an environment, in a transaction."""

    def migrate(txn: lmdb.Transaction[Any], databases: Databases) -> None:
        for name, is_sorted in _GONE.items():
            txn.drop(env.open_db(name, txn, dupsort=is_sorted, dupfixed=is_sorted))
        build_index(txn, databases)

    return migrate


def build_index(txn: lmdb.Transaction[Any], databases: Databases) -> None:
    """Build the index of a store anew, from its rows."""
    blocks = Blocks(txn, databases)
    blocks.clear()
    parts = Parts(txn, databases, KnownParts())
    with txn.cursor(databases.rows) as cursor:
        rows = iter(cursor)
        while some := [*islice(rows, MOST_ROWS)]:
            blocks.add(entries_of(entry_of(int.from_bytes(key, "big"), content, parts) for key, content in some))
