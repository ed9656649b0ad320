"""PROV documents of any origin, to records.

Each activity is a record. What is used and generated goes by its role, and a use is linked, as declared, to the
activity that generated the entity or what that was derived from. What a record has no place for is kept with the
document itself, whole, in one more record of the kind `document`. Our own exports carry their records, which come back
as they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel_model.errors import UserError

from provtel_query.prov_import.canonical import canonical, text_of
from provtel_query.prov_import.own import ACTIVITIES, own_records
from provtel_query.prov_import.records import DOCUMENT, records_of
from provtel_query.prov_import.statements import instances

if TYPE_CHECKING:
    from prov.model import ProvDocument
    from provtel_model.record import PlainRecord

_MOST_CHARACTERS: Final = 16 << 20

__all__ = ["DOCUMENT", "read_records"]


def read_records(document: ProvDocument) -> list[PlainRecord]:
    """Return the records of a document, always the same for the same statements.

    Of a document of ours these are the records that were exported. Of others the first is the document; one without an
    activity is that alone.

    Raises:
        UserError: It says nothing, is too large to be kept, or is of ours and was tampered with.
    """
    content = canonical(document)
    own = [record for instance in instances(content) for record in own_records(instance)]
    is_foreign = (lambda uri: not uri.startswith(ACTIVITIES)) if own else (lambda _: True)
    found = records_of(content, is_foreign)
    if own and len(found) == 1:
        return own
    if not any(set(instance.content) - {"prefix", "bundle"} for instance in instances(content)):
        raise UserError("the document says nothing, so there is nothing to import")
    size = len(text_of(content))
    if size > _MOST_CHARACTERS:
        raise UserError(
            f"the document has {size} characters as PROV-JSON, and a store keeps at most {_MOST_CHARACTERS} of one; "
            "split it by its bundles or runs"
        )
    return [*own, *found]
