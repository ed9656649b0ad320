"""How hard a compression may try, in the numbers that the OpenTelemetry Collector takes."""

from __future__ import annotations

from typing import Final

_DEFLATED: Final = range(-2, 10)
_ONE: Final = range(1)
_LEVELS: Final = {"gzip": _DEFLATED, "zlib": _DEFLATED, "deflate": _DEFLATED, "snappy": _ONE, "lz4": _ONE}


def check_level(compression: str, level: int) -> None:
    """Refuse a level that a compression does not have; Zstandard takes the nearest that it has.

    Raises:
        ValueError: It has none of that number.
    """
    if compression in _LEVELS and level not in _LEVELS[compression]:
        known = _LEVELS[compression]
        there = f"there are {known[0]} to {known[-1]}" if len(known) > 1 else "it has no levels"
        raise ValueError(f'unsupported parameters {{Level:{level}}} for compression type "{compression}"; {there}')
