"""Memory for what requests become when they are unpacked: small packed ones may become large, many at a time."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from provtel_model.errors import RetryableError

if TYPE_CHECKING:
    from collections.abc import Iterator

TOTAL: Final = 128 * 2**20
_WAIT_SECONDS: Final = 5.0


class Budget:
    """Bytes that all requests together may become.

    Args:
        total: How many; a single request that needs more has all of them to itself.
        wait: How long a request waits for others, in seconds.
    """

    def __init__(self, total: int = TOTAL, wait: float = _WAIT_SECONDS) -> None:
        self._total = total
        self._left = total
        self._wait = wait
        self._changed = threading.Condition()
        self._line: deque[object] = deque()

    @contextmanager
    def reserve(self, size: int) -> Iterator[Share]:
        """Have a share of a size for as long as the block lasts; who came first has it first.

        Raises:
            RetryableError: Others need so much for so long that there was none.
        """
        share = Share(self, min(size, self._total))
        with self._changed:
            if self._line or self._left < share.size:
                self._wait_in_line(share.size)
            self._left -= share.size
        try:
            yield share
        finally:
            share.shrink(0)

    def _wait_in_line(self, size: int) -> None:
        """Return when it is our turn and there is enough: otherwise small requests would keep a large one waiting."""
        mine = object()
        self._line.append(mine)
        try:
            if not self._changed.wait_for(lambda: self._line[0] is mine and self._left >= size, self._wait):
                raise RetryableError("this receiver has no memory left for unpacking, try again", 1.0)
        finally:
            self._line.remove(mine)
            self._changed.notify_all()

    def give(self, size: int) -> None:
        """Take a part of a share back."""
        with self._changed:
            self._left += size
            self._changed.notify_all()


class Share:
    """What one request may become.

    Args:
        budget: What it is a part of.
        size: How many bytes.
    """

    def __init__(self, budget: Budget, size: int) -> None:
        self._budget = budget
        self.size = size

    def shrink(self, size: int) -> None:
        """Keep no more than a number of bytes."""
        if size < self.size:
            self._budget.give(self.size - size)
            self.size = size
