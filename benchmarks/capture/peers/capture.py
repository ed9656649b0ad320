"""What every peer can do, and whether what it recorded is what was called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from typing import Any

from benchmarks.capture.workload import Call, Function, result

Recorded = tuple[str, tuple[Any, ...], Any]
"""Name, inputs and output of one record."""

OUTPUT = "o"
"""Name of the output in every record."""


class NotHereError(Exception):
    """A peer cannot run in this environment; the message says why."""


class Capture(ABC):
    """A way of capturing; it keeps everything in the working folder, which is empty at first."""

    positional = True
    """Whether it keeps inputs that are given by position."""

    @abstractmethod
    def start(self) -> None:
        """Do what its users do before the first task."""

    @abstractmethod
    def wrap(self, function: Function) -> Function:
        """Return the function, captured."""

    @abstractmethod
    def stop(self) -> None:
        """Return when every record is where it will stay."""

    @abstractmethod
    def size(self) -> int:
        """Return the bytes of all records, where they stay."""

    @abstractmethod
    def records(self) -> Iterable[Recorded]:
        """Return every record that stayed, in this or in an earlier process in the same folder."""

    def query(self) -> bool:
        """Ask for the newest record by the peer's own means; say whether it has any."""
        return False

    def recover(self) -> None:  # noqa: B027  # most peers have nothing to recover from
        """Do what brings in the records of a process that died, as far as that takes doing."""

    def kept(self, value: Any) -> Any:
        """Return what a record is to hold of an input."""
        return value if isinstance(value, int | float) else type(value).__name__

    def expected(self, function: Function, call: Call) -> Recorded:
        """Return what the record of a call must be."""
        inputs = tuple(self.kept(value) for value in call) if self.positional else ()
        return function.__name__, inputs, result(function, call)


def differences(expected: Iterable[Recorded], found: Iterable[Recorded]) -> str:
    """Return how two collections of records differ, or an empty text."""
    wanted, there = Counter(expected), Counter(found)
    if wanted == there:
        return ""
    missing, extra = wanted - there, there - wanted
    return f"{missing.total()} missing, {extra.total()} extra, such as {[*missing][:1]} and {[*extra][:1]}"
