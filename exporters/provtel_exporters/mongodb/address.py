"""Where a MongoDB database is, in a form that shows no password; needs no pymongo."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from provtel_model.errors import StoreError
from provtel_model.extras import need_packages

DEFAULT_DATABASE: Final = "provtel"
SCHEMES: Final = ("mongodb://", "mongodb+srv://")

_LOGIN: Final = re.compile(r"://.*@")


@dataclass(frozen=True)
class Address:
    """Where a database is, and how to speak to it.

    Args:
        uri: As MongoDB's clients write it.
        database: The database; where it is empty the one in `uri`, else `DEFAULT_DATABASE`.
        options: Arguments of pymongo's client beside those in `uri`; a secret among them is in no text of this class.
    """

    uri: str = field(repr=False)
    database: str = ""
    options: tuple[tuple[str, Any], ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        """Return it without who logs in, and by which password."""
        return without_login(self.uri)


def without_login(text: str) -> str:
    """Return an address without the name and the password in it."""
    return _LOGIN.sub("://", text)


def address_of(location: str) -> Address:
    """Return the address that a location is.

    Raises:
        StoreError: It is none.
    """
    if not location.startswith(SCHEMES):
        raise StoreError(f"{without_login(location)!r} is no address of a MongoDB; write mongodb://HOST:PORT/DATABASE")
    return Address(location)


def need_package(component: str) -> None:
    """See that pymongo is there.

    Raises:
        UserError: It is not installed.
    """
    need_packages(component, "mongodb", "pymongo")
