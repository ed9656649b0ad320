"""A gate that lets many in, or one alone."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Gate:
    """Lets many threads in at once; whoever must be alone waits until they left, while no others enter."""

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.Lock())
        self._inside = 0
        self._asked_for_alone = 0

    def __enter__(self) -> None:
        with self._condition:
            while self._asked_for_alone:
                self._condition.wait()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._inside -= 1
            self._condition.notify_all()

    def close(self) -> None:
        """Wait until nobody is inside, and let nobody in until `open`, which the same thread calls."""
        self._condition.acquire()
        self._asked_for_alone += 1
        while self._inside:
            self._condition.wait()

    def open(self) -> None:
        """Let others in again."""
        self._asked_for_alone -= 1
        self._condition.notify_all()
        self._condition.release()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Close the gate for the length of a block."""
        self.close()
        try:
            yield
        finally:
            self.open()
