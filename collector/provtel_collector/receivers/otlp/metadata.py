"""What is told of the headers of a request to those that take it: they may write it to disks and to logs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from provtel_model.components import Authenticator, HidesHeaders

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRET: Final = re.compile("authorization|cookie|api[_-]?key|access[_-]?key|credential|passw|secret|token")


def metadata(headers: Mapping[str, str], authenticator: Authenticator | None) -> dict[str, str]:
    """Return the headers that hold no secret, by their names and by what the authenticator says.

    Args:
        headers: The headers, by names in lower case.
        authenticator: Who looked at them; None for nobody.
    """
    hidden: frozenset[str] = authenticator.secret_headers if isinstance(authenticator, HidesHeaders) else frozenset()
    return {
        name: text
        for name, text in headers.items()
        if name[0] != ":" and name not in hidden and not _SECRET.search(name)
    }
