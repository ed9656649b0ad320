"""Which folders lie on the disk of another machine, where a file must not be mapped into memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from provtel_model.errors import StoreError

VARIABLE: Final = "PROVTEL_FILE_SYSTEMS"
"""Says of folders what they are where that cannot be found out: ``/scratch=network:/fast=local``."""

_KINDS: Final = {"network": True, "local": False}
_NETWORK: Final = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "gpfs",
        "lustre",
        "nfs",
        "nfs4",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb3",
        "wekafs",
    }
)


def on_network_file_system(folder: Path) -> bool:
    """Say whether a folder lies on a file system of another machine; it need not exist yet.

    What `VARIABLE` says of the folder, or of the nearest one above it, holds; else the kind of what is mounted there.

    Raises:
        StoreError: The variable is not understood.
    """
    real = os.path.realpath(folder)
    told = _told()
    place = Path(real)
    for above in (place, *place.parents):
        if str(above) in told:
            return told[str(above)]
    return _is_network(_kind_of_mount(place))


def require_local(folder: Path, what: str) -> None:
    """Refuse to keep files that are mapped into memory on a file system of another machine.

    Args:
        folder: Where they are to be.
        what: What they are, as the subject of a sentence.

    Raises:
        StoreError: It is one; the text says what to do.
    """
    if on_network_file_system(folder):
        raise StoreError(
            f"{what} is mapped into memory, and {folder} lies on a network file system, where that damages it; name a "
            f"folder on a disk of this machine, or say that it is one: {VARIABLE}={folder}=local"
        )


def _told() -> dict[str, bool]:
    found: dict[str, bool] = {}
    for entry in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        folder, mark, kind = entry.rpartition("=")
        if not mark or not Path(folder).is_absolute() or kind not in _KINDS:
            msg = (
                f"{VARIABLE} holds {entry!r}; write FOLDER=network or FOLDER=local, several with {os.pathsep!r} between"
            )
            raise StoreError(msg)
        found[os.path.realpath(folder)] = _KINDS[kind]
    return found


def _kind_of_mount(place: Path) -> str:
    """Return the kind of the file system that a place is on; nothing where the system does not tell."""
    try:
        device = _nearest(place).stat().st_dev
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        about, _, kind = line.partition(" - ")
        if wanted in about.split()[2:3]:
            return next(iter(kind.split()), "")
    return ""


def _nearest(place: Path) -> Path:
    """Return a place, or the nearest one above it that exists."""
    return next((above for above in (place, *place.parents) if above.exists()), place)


def _is_network(kind: str) -> bool:
    return kind in _NETWORK or kind.startswith("fuse.")
