"""The figures as tables, for a terminal and for a page."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Console

from benchmarks.collector.cases import CASES
from benchmarks.collector.measured import TITLES
from benchmarks.sheet import Sheet, held

_COLUMNS: Final = (
    "",
    "CPU us a span",
    "ratio",
    "wall us a span",
    "ratio",
    "peak MB",
    "ratio",
    "requests/s",
    "median ms",
    "slowest ms",
)
_PAGE: Final = """# The collector beside the OpenTelemetry Collector

What a span costs on its way, measured one after the other in one run. Written by `make bench-collector`; an absolute
number means nothing on another machine, the ratios do. How it is measured: [benchmarks](../../benchmarks/README.md).

{heading}

{tables}
"""


def sheets(result: dict[str, Any]) -> Iterator[Sheet]:
    """Yield every table of a run that measured something."""
    for name, peers in result["cases"].items():
        rows = [(TITLES[peer], *_cells(figures)) for peer, figures in peers.items()]
        yield Sheet(CASES[name].title, _COLUMNS, rows)
    if result["targets"]:
        rows = [
            (
                one["target"],
                f"{one['measured']:.3g}" if one["measured"] < 1000 else f"{one['measured']:,.0f}",  # noqa: PLR2004
                f"{'at least' if one['at_least'] else 'at most'} {one['limit']:g}",
                held(one["held"]),
            )
            for one in result["targets"]
        ]
        yield Sheet("What the collector is to reach", ("", "measured", "limit", ""), rows)


def _cells(figures: dict[str, float]) -> Sequence[str]:
    def cell(name: str, digits: int) -> str:
        return f"{figures[name]:,.{digits}f}" if name in figures else ""

    return (
        cell("cpu_us", 2),
        cell("cpu_us_ratio", 2),
        cell("wall_us", 2),
        cell("wall_us_ratio", 2),
        cell("memory_mb", 0),
        cell("memory_mb_ratio", 2),
        cell("per_second", 0),
        cell("median_ms", 1),
        cell("slowest_ms", 0),
    )


def show(result: dict[str, Any]) -> None:
    """Print every table, and what was void."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(_heading(result))
    for sheet in sheets(result):
        console.print(sheet.table())
    for line in result["void"]:
        console.print(f"VOID {line}", style="red")


def page(result: dict[str, Any]) -> str:
    """Return the page of a run."""
    tables = [sheet.section() for sheet in sheets(result)]
    if result["void"]:
        tables.append("\n".join(["## Void", "", *(f"- {line}" for line in result["void"])]))
    return _PAGE.format(heading=_heading(result), tables="\n\n".join(tables))


def _heading(result: dict[str, Any]) -> str:
    return f"{result['machine']}; medians of {result['rounds']} rounds; {result['services']}."
