"""The figures as a table, for a terminal and for a page."""

from __future__ import annotations

import sys
from typing import Any, Final

from rich.console import Console

from benchmarks.sheet import Sheet, held

_COLUMNS: Final = ("", "nodes, rows or MB", "ms", "at most", "", "ms in the larger store", "ratio", "at most", "")
_PAGE: Final = """# What answers cost

Questions to an LMDB store of {small:,} tasks, and to one of {large:,}: mosaics after the Montage recipe of WfCommons,
of several sizes, and sweeps. Each question was asked once before it was measured, and then of the two stores in turn;
the times are the processor's, so that what else ran meanwhile counts less. Written by `make bench-query`; an absolute
number means nothing on another machine. How it is measured: [benchmarks](../../benchmarks/README.md).

{machine}. Medians of {rounds}, or of fewer where they take longer than 15 s together.
Memory while the document was written: {peak:.0f} MB.

{table}
"""


def rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for each question."""
    return [
        (
            one["title"],
            f"{one['size']:,}",
            f"{one['seconds'] * 1000:,.1f}",
            f"{one['limit'] * 1000:,.0f}",
            held(one["seconds"] <= one["limit"]),
            f"{one['larger'] * 1000:,.1f}" if one["larger"] else "",
            f"{one['larger'] / one['seconds']:.2f}" if one["larger"] else "",
            f"{result['growth']:g}" if one["larger"] else "",
            held(one["larger"] <= result["growth"] * one["seconds"]) if one["larger"] else "",
        )
        for one in result["questions"].values()
    ]


def _sheet(result: dict[str, Any]) -> Sheet:
    return Sheet(f"{result['machine']}, {result['small']:,} and {result['large']:,} tasks", _COLUMNS, rows(result))


def show(result: dict[str, Any]) -> None:
    """Print the table for a person, beside what a program reads."""
    Console(file=sys.stderr).print(_sheet(result).table())


def page(result: dict[str, Any]) -> str:
    """Return the page of a run."""
    return _PAGE.format(**result, table=_sheet(result).markdown())
