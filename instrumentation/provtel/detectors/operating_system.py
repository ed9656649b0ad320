"""The operating system."""

from __future__ import annotations

import functools
import os
import platform
import sys
from typing import TYPE_CHECKING

from provtel_model import attributes as names

from provtel.detectors.sources import known

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue


@functools.cache
def detect() -> dict[str, AnyValue]:
    """Return kind, name and version of the operating system, and of Linux which distribution it is."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    kernel = os.uname()
    return known(
        [
            (names.OS_TYPE, sys.platform.rstrip("0123456789")),
            (names.OS_NAME, release.get("NAME", kernel.sysname)),
            (names.OS_VERSION, release.get("VERSION_ID", kernel.release)),
            (names.OS_DESCRIPTION, f"{release.get('PRETTY_NAME', kernel.sysname)}, kernel {kernel.release}"),
        ]
    )
