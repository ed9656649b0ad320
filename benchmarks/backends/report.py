"""The figures as a table, for a terminal and for a page."""

from __future__ import annotations

import sys
from typing import Any, Final

from rich.console import Console

from benchmarks.backends.runner import PEERS
from benchmarks.sheet import Sheet

_COLUMNS: Final = {
    "cpu_us": "CPU us a task",
    "wall_us": "wall us a task",
    "bytes": "bytes a task",
    "point_ms": "one by its id, ms",
    "filtered_ms": "by an input, ms",
}
_PAGE: Final = """# Stores beside Flowcept's

What it costs to keep a task in a database and to find it again, measured one after the other in one run. Written by
`python -m benchmarks.backends --page`; an absolute number means nothing on another machine. How it is measured:
[benchmarks](../../benchmarks/README.md).

{heading}

{table}
"""


def _cells(figures: dict[str, float]) -> list[str]:
    return [f"{figures[name]:,.1f}" if figures.get(name) else "" for name in _COLUMNS]


def _rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(PEERS[peer][0], *_cells(figures)) for peer, figures in result["peers"].items()]


def _heading(result: dict[str, Any]) -> str:
    lines = [
        f"{result['machine']}. {result['services']}.",
        f"{result['records']:,} tasks, {result['rounds']} rounds, medians.",
        *(f"Left out: {PEERS[peer][0]}: {why}." for peer, why in result["left_out"].items()),
        *(f"Void: {why}" for why in result["void"]),
    ]
    return "\n".join(lines)


def _sheet(result: dict[str, Any]) -> Sheet:
    return Sheet(_heading(result), ("", *_COLUMNS.values()), _rows(result))


def show(result: dict[str, Any]) -> None:
    """Print the table for a person, beside what a program reads."""
    Console(file=sys.stderr).print(_sheet(result).table())


def page(result: dict[str, Any]) -> str:
    """Return the page of a run."""
    return _PAGE.format(heading=_heading(result), table=_sheet(result).markdown())
