"""What was split off of documents that were too large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provtel_exporters.mongodb.layout import PARTS

if TYPE_CHECKING:
    from pymongo.database import Database


class PartsLostError(Exception):
    """A document was replaced or removed after it was read, and what was split off of it with it."""


class PartsReader:
    """Reads what was split off of documents.

    Args:
        database: Where it is.
    """

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._parts = database[PARTS]

    def __call__(self, of: str, ids: list[str]) -> bytes:
        """Return what was split off of a document.

        Args:
            of: The ``_id`` of the document.
            ids: Those of the parts, in order.

        Raises:
            PartsLostError: Not all of it is there any more.
        """
        found = {part["_id"]: part["data"] for part in self._parts.find({"_id": {"$in": ids}})}
        if len(found) < len(ids):
            raise PartsLostError(of)
        return b"".join(found[each] for each in ids)
