"""The figures as tables, for a terminal and for a page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from benchmarks.capture.losses import WAYS
from benchmarks.capture.peers import TITLES
from benchmarks.sheet import Sheet, held


def sheets(result: dict[str, Any]) -> Iterator[Sheet]:
    """Yield every table of a run that measured something."""
    for case, peers in result["cases"].items():
        yield _costs(case, peers)
    if result["losses"]:
        yield _losses(result["losses"])
    if result["many"]:
        yield Sheet(
            "Very many tasks, one run each",
            ("", "tasks", "caller us", "CPU us", "memory MiB"),
            [
                (
                    TITLES[name],
                    f"{row['tasks']:,}",
                    *(_number(row[key], 1) for key in ("caller_us", "cpu_us", "memory_mib")),
                )
                for name, row in result["many"].items()
            ],
        )
    if result["start"]:
        yield Sheet(
            "A fresh interpreter, milliseconds",
            ("", "import", "until the first task is recorded"),
            [
                (TITLES[name], f"{row['import_ms']:.0f}", f"{row['first_task_ms']:.0f}")
                for name, row in result["start"].items()
            ],
        )
    if result["spans"]:
        yield Sheet(
            "Spans of OpenTelemetry's plain API, three attributes; and a program that does nothing",
            ("", "made, CPU us", "encoded, CPU us", "start under opentelemetry-instrument, CPU ms"),
            [
                (
                    _PROVIDERS[name],
                    *(_number(row["made_us"], 1), _number(row["encoded_us"], 1), _number(row.get("start_ms"), 0)),
                )
                for name, row in result["spans"].items()
            ],
        )
    if result["sampler"]:
        yield Sheet(
            "The sampler",
            ("", "CPU us a sample", "bytes a sample", "% of a core, at 1 s"),
            [
                (name, _number(row["cpu_us"], 0), _number(row["bytes"], 0), _number(row["percent"], 3))
                for name, row in result["sampler"].items()
            ],
        )
    if result["targets"]:
        yield _targets(result["targets"])


_PROVIDERS = {"sdk": "OpenTelemetry SDK, its encoder, its distro", "provtel": "provtel"}
_COSTS = (
    "",
    "caller us",
    "ratio",
    "CPU us",
    "ratio",
    "bytes",
    "memory MiB",
    "queryable us",
)


def _costs(case: str, peers: dict[str, dict[str, float | None]]) -> Sheet:
    rows = [
        (
            TITLES[name],
            _number(row["caller_us"], 1),
            _number(row["caller_us_ratio"], 2),
            _number(row["cpu_us"], 1),
            _number(row["cpu_us_ratio"], 2),
            _number(row["bytes"], 0),
            _number(row["memory_mib"], 1),
            _number(row["query_us"], 0),
        )
        for name, row in peers.items()
    ]
    return Sheet(case, _COSTS, rows)


def _losses(losses: dict[str, dict[str, dict[str, int]]]) -> Sheet:
    rows = [(TITLES[name], *(_toll(ways[way]) for way in WAYS)) for name, ways in losses.items()]
    titles = {"fork": "os._exit of a forked child"}
    return Sheet("Finished tasks lost when a process dies", ("", *(f"by {titles.get(way, way)}" for way in WAYS)), rows)


def _toll(toll: dict[str, int]) -> str:
    twice = f", {toll['twice']} twice" if toll["twice"] else ""
    hung = f", {toll['hung']} hung" if toll["hung"] else ""
    return f"{toll['lost']} of {toll['finished']}{twice}{hung}"


def _targets(targets: list[dict[str, Any]]) -> Sheet:
    rows = [(one["target"], f"{one['measured']:.3g}", f"{one['limit']:g}", held(one["held"])) for one in targets]
    return Sheet("What provtel is to reach", ("", "measured", "at most", ""), rows)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def show(result: dict[str, Any]) -> None:
    """Print every table, what was left out, and what was void."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(_heading(result))
    for sheet in sheets(result):
        console.print(sheet.table())
    for line in result["left_out"]:
        console.print(f"LEFT OUT {line}")
    for line in result["void"]:
        console.print(f"VOID {line}", style="red")


_PAGE = """# Benchmarks

What capture costs, measured beside others in one run. Written by `make bench`; an absolute number means nothing on
another machine, the ratios do. How it is measured: [benchmarks](../../benchmarks/README.md).

{heading}

{tables}
"""


def page(result: dict[str, Any]) -> str:
    """Return the page of a run."""
    tables = [sheet.section() for sheet in sheets(result)]
    for title, key in (("Left out", "left_out"), ("Void", "void")):
        if result[key]:
            tables.append("\n".join([f"## {title}", "", *(f"- {line}" for line in result[key])]))
    return _PAGE.format(heading=_heading(result), tables="\n\n".join(tables))


def _heading(result: dict[str, Any]) -> str:
    modules = ", ".join(f"`{name}`" for name in result["compiled"]) or "nothing"
    return (
        f"{result['machine']}; medians of {result['rounds']} rounds; ratios to Flowcept's `@flowcept_task`, offline. "
        f"Compiled of provtel: {modules}."
    )
