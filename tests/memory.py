"""How much memory something takes at its peak."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


@dataclass
class Growth:
    """What a block took.

    Attributes:
        mib: By how many MiB the memory of this process was larger at its peak than at the beginning.
    """

    mib: float = 0.0


@contextmanager
def growth() -> Iterator[Growth]:
    """Watch the memory of this process while the block lasts."""
    measured = Growth()
    _RESET.write_text("5")  # proc(5): the peak so far is forgotten
    before = _kib("VmRSS")
    try:
        yield measured
    finally:
        measured.mib = (_kib("VmHWM") - before) / 1024


def _kib(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])
