"""Keeps a fork from happening in the middle of what a child could never finish.

A child has only the thread that forked. A module that another thread was importing stays locked in it for ever, so the
child would hang at its next import of that module. Whoever imports or opens anything late does so under `guard`, and a
fork waits for it.
"""

from __future__ import annotations

import os
import threading
from typing import Final

_LONGEST_WAIT: Final = 5.0

guard = threading.RLock()
"""Held while modules are imported late and the journal is opened."""


def _before() -> None:
    # Not for ever: a fork that comes late is better than none, and a bare child rarely needs what is locked.
    guard.acquire(timeout=_LONGEST_WAIT)


def _after_in_parent() -> None:
    if guard._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001  # `release` raises where waiting was given up
        guard.release()


def _after_in_child() -> None:
    global guard  # noqa: PLW0603  # the parent's may be held by a thread that is not here
    guard = threading.RLock()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
