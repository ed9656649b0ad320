"""Run the `provtel` command as the system's unit confines it, as far as a process can confine itself."""

from __future__ import annotations

import ctypes
import errno
import os
import sys

from provtel_cli.main import main

NO_NEW_PRIVILEGES = 38
MEMORY_DENY_WRITE_EXECUTE = 65


def confine() -> None:
    """Give up what the unit takes.

    Raises:
        OSError: The kernel knows no such thing.
    """
    library = ctypes.CDLL(None, use_errno=True)
    for option in (NO_NEW_PRIVILEGES, MEMORY_DENY_WRITE_EXECUTE):
        if library.prctl(option, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.umask(0o077)


if __name__ == "__main__":
    try:
        confine()
    except OSError as error:
        sys.exit(f"cannot be confined: {errno.errorcode[error.errno or 0]}")
    sys.exit(main())
