"""``python -m benchmarks.backends.embedded``: what the embedded store costs when it is large, and what it may."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any, Final, NamedTuple

from provtel_exporters.lmdb.exporter import factory
from provtel_model.aggregation import Aggregation, Figure
from provtel_model.components import Batch, Context, Reader, Signal
from provtel_model.filters import Query
from provtel_query.stores import open_reader
from rich.console import Console

from benchmarks.backends import yardstick
from benchmarks.backends.tasks import BATCH, record, requests
from benchmarks.capture.suite import machine
from benchmarks.collector.measured import OURS, THEIRS
from benchmarks.sheet import Sheet, held
from tests.services.found import MissingServiceError

_BY_STATUS: Final = Aggregation(by=["status"], figures={"count": Figure("count")})
_PAGES: Final[Mapping[str, tuple[str, Query]]] = {
    "page_ms": (
        "page of 100 with an input, sorted by an output, ms",
        Query({"used.epochs": 7}, (("generated.loss", -1),), 100),
    ),
    "duration_ms": (
        "page of 100 of a status, sorted by duration, ms",
        Query({"status": "finished"}, (("duration", -1),), 100),
    ),
}


class Goal(NamedTuple):
    """What a figure is, and what it is to be.

    Args:
        title: What was measured, and its unit.
        bound: The most it may be; the least where `is_least`.
        is_least: More is better.
    """

    title: str
    bound: float
    is_least: bool = False

    def holds(self, value: float) -> bool:
        """Say whether a figure is as it is to be."""
        return value >= self.bound if self.is_least else value <= self.bound


GOALS: Final[Mapping[str, Goal]] = {
    "cpu_us": Goal("OTLP to the disk, CPU us a span", 20),
    "spans_s": Goal("OTLP to the disk, spans a second", 35_000, is_least=True),
    "collector": Goal("our collector, CPU of a span, of the OpenTelemetry Collector's that keeps none", 2.5),
    "bytes": Goal("on disk, bytes a task", 1100),
    "open_ms": Goal("open, ms", 50),
    "point_ms": Goal("one by its id, ms", 1),
    **{name: Goal(title, 20) for name, (title, _) in _PAGES.items()},
    "count_ms": Goal("count by status, ms", 50),
}


def fill(folder: Path, count: int) -> dict[str, float]:
    """Write so many tasks by the exporter, each batch on the disk before the next; return what it took."""
    exporter = factory.create(factory.config(store=str(folder)), Context("lmdb", {}, lambda *_: None))
    exporter.start()
    wall = cpu = 0.0
    for payload in requests(count):
        begun, before = time.perf_counter(), time.process_time()
        exporter.consume(Batch(Signal.TRACES, payload, BATCH))
        wall, cpu = wall + time.perf_counter() - begun, cpu + time.process_time() - before
    exporter.shutdown()
    taken = sum(path.stat().st_blocks * 512 for path in folder.glob("**/data.mdb"))
    return {"cpu_us": cpu / count * 1e6, "spans_s": count / wall, "bytes": taken / count}


def ask(folder: Path, count: int, rounds: int) -> dict[str, float]:
    """Ask every question so often, after once; return the medians in milliseconds of the processor.

    Raises:
        ValueError: The store does not hold what was written.
    """
    opened: list[float] = []
    for _ in range(rounds + 1):
        begun = time.process_time()
        reader = open_reader(str(folder))
        opened.append(time.process_time() - begun)
        reader.close()
    reader = open_reader(str(folder))
    try:
        if reader.aggregate(_BY_STATUS) != [{"status": "finished", "count": count}]:
            raise ValueError(f"the store has not the {count} tasks that were written")
        return {"open_ms": statistics.median(opened[1:]) * 1000, **_answers(reader, count, rounds)}
    finally:
        reader.close()


def _answers(reader: Reader, count: int, rounds: int) -> dict[str, float]:
    tasks = map(record, cycle(range(0, count, count // (2 * rounds + 3) or 1)))  # another each time: none is remembered
    ids = (f"{task['trace_id']}-{task['span_id']}" for task in tasks)
    questions: dict[str, Callable[[], object]] = {
        "point_ms": lambda: reader.get(next(ids)),
        "count_ms": lambda: reader.aggregate(_BY_STATUS),
    }
    for name, (_, query) in _PAGES.items():
        questions[name] = lambda query=query: reader.find(query)  # type: ignore[misc]  # bound now
    taken: dict[str, list[float]] = {name: [] for name in questions}
    for _ in range(rounds + 1):  # in turn, so that a machine that is slow for a moment is slow for one round of each
        for name, question in questions.items():
            begun = time.process_time()
            question()
            taken[name].append(time.process_time() - begun)
    return {name: statistics.median(found[1:]) * 1000 for name, found in taken.items()}


def beside(count: int) -> tuple[dict[str, float], str]:
    """Return what our collector costs as a multiple of the OpenTelemetry Collector, and a sentence about both."""
    try:
        cost = yardstick.measure(count)
    except MissingServiceError as error:
        return {}, f"The OpenTelemetry Collector is left out: {error}."
    sentence = (
        f"By OTLP/HTTP through a whole collector a span costs {cost[OURS]:.2f} us of CPU into this store, and the "
        f"OpenTelemetry Collector {cost[THEIRS]:.2f} us into its exporter `debug`."
    )
    return {"collector": cost[OURS] / cost[THEIRS]}, sentence


def sheet(result: Mapping[str, Any]) -> Sheet:
    """Return the figures as a table."""
    rows = []
    for name, goal in GOALS.items():
        value = result["figures"].get(name)
        if value is None:
            continue
        sign = "at least" if goal.is_least else "at most"
        rows.append((goal.title, f"{value:,.2f}", f"{sign} {goal.bound:,}", held(goal.holds(value))))
    return Sheet(f"{result['machine']}, {result['tasks']:,} tasks", ("", "measured", "goal", ""), rows)


_PAGE: Final = """# What the embedded store costs

An LMDB store of {tasks:,} tasks of three inputs and two outputs, with the cost of the CPU: written from OTLP by the
exporter `lmdb` in batches of 512, each on the disk before the next, then asked. Written by `make bench-store`; an
absolute number means nothing on another machine. How it is measured: [benchmarks](../../benchmarks/README.md).

{machine}. Medians of {rounds}.

{table}

{sentence}
"""


def main() -> int:
    """Measure; the last line printed is one JSON object with every figure."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.backends.embedded", description="Measure a large store."
    )
    parser.add_argument("--tasks", type=int, default=1_000_000, help="how many the store has (default 1000000)")
    parser.add_argument("--rounds", type=int, default=7, help="how often each question is asked (default 7)")
    parser.add_argument("--page", type=Path, help="write the table to this file too")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "store"
        figures = {**fill(place, chosen.tasks), **ask(place, chosen.tasks, chosen.rounds)}
    ratio, sentence = beside(chosen.tasks)
    result = {
        "machine": machine(),
        "tasks": chosen.tasks,
        "rounds": chosen.rounds,
        "figures": figures | ratio,
        "sentence": sentence,
    }
    Console(file=sys.stderr).print(sheet(result).table())
    if chosen.page:
        chosen.page.write_text(_PAGE.format(**result, table=sheet(result).markdown()))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
