"""The machine, as its operating system names it."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model import attributes as names
from provtel_model.journal.liveness import host_name

from provtel.detectors.sources import known, text_of

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "i386": "x86", "i686": "x86", "ppc64le": "ppc64"}
_IDS: Final = ("etc/machine-id", "var/lib/dbus/machine-id")


@functools.cache
def detect(root: Path = Path("/")) -> dict[str, AnyValue]:
    """Return name, id and architecture of the host; a container has an id of its own or none.

    Args:
        root: Where the system's files are.
    """
    machine = os.uname().machine
    identity = next(filter(None, (text_of(root / file).strip() for file in _IDS)), None)
    return known(
        [
            (names.HOST_NAME, host_name()),
            (names.HOST_ID, identity),
            (names.HOST_ARCH, _ARCHITECTURES.get(machine, machine)),
        ]
    )
