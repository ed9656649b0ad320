"""Open a database for reading or writing by its address; where pymongo is missing, that is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_model.errors import DeliveryError, StoreError

from provtel_exporters.mongodb.address import address_of, need_package

if TYPE_CHECKING:
    from provtel_exporters.mongodb.reader import MongodbReader
    from provtel_exporters.mongodb.writer import MongodbWriter


def open_reader(location: str) -> MongodbReader:
    """Open a database for reading; an entry point of ``provtel.readers``.

    Raises:
        UserError: pymongo is not installed.
        StoreError: There is no store there that can be read; the text says what was found.
    """
    need_package("a store in MongoDB")
    from provtel_exporters.mongodb.reader import MongodbReader

    return MongodbReader(address_of(location))


def open_writer(location: str) -> MongodbWriter:
    """Open a database for writing, and make its indexes; an entry point of ``provtel.writers``.

    Raises:
        UserError: pymongo is not installed.
        StoreError: It cannot be written; the text says why.
    """
    need_package("a store in MongoDB")
    from provtel_exporters.mongodb.writer import MongodbWriter

    writer = MongodbWriter(address_of(location))
    try:
        writer.prepare()
    except DeliveryError as error:
        writer.close()
        raise StoreError(str(error)) from error
    return writer
