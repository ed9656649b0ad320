"""How much of a program's time goes into hashes: little content always, more of it as long as there is time left.

A hash of a megabyte takes half a millisecond, which is nothing before a task of a second and a lot before one of a
microsecond. So content of at most 64 KiB is hashed whole, always. What is larger is hashed while the time that such
hashes took is less than a share of the time that the program has been running, and sampled after that.
"""

from __future__ import annotations

import time
from typing import Final

SMALL: Final = 64 * 2**10
"""Content of so many bytes is always hashed whole, together in one value."""
_FIXED_COST: Final = 512
_HEAD_START: Final = 10_000_000
"""Nanoseconds that a program has at its start."""
_SAVED_AT_MOST: Final = 40_000_000
"""Nanoseconds that a program has at most, however long it went without such hashes."""
_LARGEST_TIMES: Final = 2

_now: Final = time.monotonic_ns
_worked_before: Final = time.process_time_ns
"""The time of the whole process: that which it imported for counts too."""
_worked: Final = time.thread_time_ns
"""The thread's own time: what a busy machine takes from it is not what its hashes cost."""


class HashingTime:
    """The time that a process still has for hashes of what is not small.

    It may be overdrawn by one hash, and then there is none until the program ran for long enough. Threads share it
    without a lock: a figure that gets lost between two of them costs a hash more, or less.

    Args:
        share: Which share of the program's time it is; of 1 or more all hashes are made.
    """

    def __init__(self, share: float) -> None:
        """Begin with what every program has."""
        self._share = share
        self._left: float = _HEAD_START
        self._at = _now() - _worked_before()

    def is_left(self) -> bool:
        """Say whether there is any."""
        if self._share >= 1:
            return True
        now = _now()
        self._left = min(self._left + (now - self._at) * self._share, _SAVED_AT_MOST)
        self._at = now
        return self._left > 0

    def spend(self, since: int) -> None:
        """Take away the thread's time since a moment, as `time.thread_time_ns` told it."""
        self._left -= _worked() - since


class HashBudget:
    """What may still be hashed for one value.

    Args:
        time_left: What the process has for it; without it there is no end of time.
        largest: Content of more bytes is not hashed; for one value twice as many at most.
        kept: Content of so many bytes is kept, and so hashed whatever the time.
    """

    def __init__(self, time_left: HashingTime | None = None, largest: int = 2**20, kept: int = 0) -> None:
        """Begin with all of it."""
        self._kept = kept
        self._time = time_left or HashingTime(1)
        self._largest = largest
        self._left = _LARGEST_TIMES * largest
        self._small = SMALL
        self._since = 0

    def take(self, nbytes: int) -> bool:
        """Say whether so many bytes may be hashed, and count them."""
        cost = nbytes + _FIXED_COST
        if nbytes <= self._kept:
            return True
        if nbytes > self._largest:
            return False
        if cost <= self._small:
            self._small -= cost
            return True
        if cost > self._left or not self.may_last():
            return False
        self._left -= cost
        return True

    def may_last(self) -> bool:
        """Say whether the hashes of this value may take long; all time from here on to `settle` counts as theirs."""
        if self._since or self._kept:
            return True
        if not self._time.is_left():
            return False
        self._since = _worked() or 1
        return True

    def settle(self) -> None:
        """Take away the time that the hashes took; the value is done."""
        if self._since:
            self._time.spend(self._since)
            self._since = 0
