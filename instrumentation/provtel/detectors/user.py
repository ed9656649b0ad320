"""The user that this process runs as."""

from __future__ import annotations

import contextlib
import os
import pwd
from typing import TYPE_CHECKING

from provtel_model import attributes as names

from provtel.detectors.sources import known

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue


def detect() -> dict[str, AnyValue]:
    """Return name and number of the user; a number that no list of users has stands alone."""
    number = os.geteuid()
    name = None
    with contextlib.suppress(KeyError):
        name = pwd.getpwuid(number).pw_name
    return known([(names.PROCESS_OWNER, name), (names.USER_NAME, name), (names.USER_ID, str(number))])
