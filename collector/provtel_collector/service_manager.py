"""What systemd, or whoever else started the collector and wants to know, is told of its state."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import Final

_VARIABLE: Final = "NOTIFY_SOCKET"


def tell_ready() -> None:
    """Tell that data is taken."""
    _tell("READY=1")


def tell_reloading() -> None:
    """Tell that another configuration is being read; `tell_ready` follows."""
    _tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def tell_stopping() -> None:
    """Tell that no more data is taken."""
    _tell("STOPPING=1")


def _tell(state: str) -> None:
    """Send a state as sd_notify(3) says; where nobody wants to know, or listens no more, do nothing."""
    address = os.environ.get(_VARIABLE, "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(0)
        channel.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
