"""Fills a store, asks every question several times, and compares with what is to be reached."""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Final

from provtel_exporters.lmdb import LmdbWriter
from provtel_model.record import PlainRecord
from provtel_model.store_folder import LMDB_FOLDER
from provtel_query import Store, connect
from provtel_query.questions.failures import failures

from benchmarks.query.workflows import Run, mosaic, mosaic_datum, raw_datum, sweep

_BATCH: Final = 5000
_WHILE: Final = 15.0
_SWEEP: Final = 10_000
_UP: Final = ((1, 90), (2, 900))
_DOWN: Final = ((3, 490), (4, 4950))
_FIRST_SWEEP: Final = 5


@dataclass(frozen=True)
class Question:
    """What is asked, and how long it may take.

    Args:
        title: The question.
        ask: Asks it; returns how large the answer is.
        seconds: How long it may take.
    """

    title: str
    ask: Callable[[Store], int]
    seconds: float


def _lineage(number: int, images: int, *, down: bool) -> Callable[[Store], int]:
    if down:
        return lambda store: len(store.lineage(raw_datum(number, images), "downstream"))
    return lambda store: len(store.lineage(mosaic_datum(number, images)))


def _of_some_days(store: Store) -> int:
    where = {"name": "train", "used.epochs": 7, "started_at": {"$gte": "2026-09-21", "$lt": "2026-09-22"}}
    return len(store.tasks(where, all_runs=True, limit=100))


def _document(store: Store) -> int:
    """Return how many megabytes a run of 10,000 tasks takes as PROV-JSON, written piece by piece."""
    pieces: list[int] = []
    store.write_prov_json(lambda text: pieces.append(len(text)), Run(_FIRST_SWEEP, f"sweep-{_FIRST_SWEEP}").id)
    return sum(pieces) // 1_000_000


QUESTIONS: Final = {
    "up-1000": Question("what a datum was made from, 1,000 nodes", _lineage(*_UP[0], down=False), 0.03),
    "up-10000": Question("what a datum was made from, 10,000 nodes", _lineage(*_UP[1], down=False), 0.25),
    "down-1000": Question("what came of a datum, 1,000 nodes", _lineage(*_DOWN[0], down=True), 0.03),
    "down-10000": Question("what came of a datum, 10,000 nodes", _lineage(*_DOWN[1], down=True), 0.25),
    "B4": Question("tasks of a name, with a parameter, in some days", _of_some_days, 0.02),
    "B8": Question("what failed, its inputs, producers and attempts", lambda store: len(failures(store)), 0.02),
    "diff": Question(
        "what is different between two runs of 10,000 tasks, a tenth of which differs",
        lambda store: len(store.diff(f"sweep-{_FIRST_SWEEP}", f"sweep-{_FIRST_SWEEP + 1}").changes),
        1.0,
    ),
    "document": Question("a run of 10,000 tasks as PROV-JSON", _document, 5.0),
}
GROWTH: Final = 1.5
"""How much longer a question may take in a store of ten times as many tasks."""


@dataclass
class Figures:
    """What was measured in one store.

    Args:
        tasks: How many records it has.
        seconds: The median of each question, in seconds of the processor's time.
        sizes: How large its answer was.
    """

    tasks: int
    seconds: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


def records(count: int) -> Iterator[PlainRecord]:
    """Yield so many records, or as many as the mosaics and the two sweeps to compare need."""
    made = 0
    runs: Iterable[Iterator[PlainRecord]] = chain(
        (mosaic(number, images) for number, images in (*_UP, *_DOWN)),
        (sweep(number, _SWEEP) for number in range(_FIRST_SWEEP, _FIRST_SWEEP + 2)),
        (sweep(number, _SWEEP // 10) for number in range(_FIRST_SWEEP + 2, count)),
    )
    for number, run in enumerate(runs, 1):
        if made >= count and number > len(_UP) + len(_DOWN) + 2:
            return
        for plain in run:
            made += 1
            yield plain


def fill(folder: Path, count: int) -> int:
    """Write a store of so many records; return how many it has."""
    writer = LmdbWriter(folder / LMDB_FOLDER)
    written = 0
    made = records(count)
    while some := [*islice(made, _BATCH)]:
        written += writer.write(some).stored
    writer.close()
    return written


def measure(folder: Path, counts: Sequence[int], rounds: int, names: Iterable[str]) -> list[Figures]:
    """Fill a store of each size, and ask them in turn, so that what else the machine does meanwhile meets all of them.

    Each is asked a question once before it is measured, and no more often than a while allows.
    """
    every = [Figures(fill(folder / str(count), count)) for count in counts]
    with ExitStack() as stack:
        stores = [stack.enter_context(connect(folder / str(count))) for count in counts]
        for name in names:
            question = QUESTIONS[name]
            for figures, store in zip(every, stores, strict=True):
                figures.sizes[name] = question.ask(store)
            for figures, found in zip(every, _rounds(question, stores, rounds), strict=True):
                figures.seconds[name] = statistics.median(found)
    return every


def peak_of_document(folder: Path) -> int:
    """Return the most memory that writing the document of a filled store takes, in bytes."""
    with connect(folder) as store:
        tracemalloc.start()
        QUESTIONS["document"].ask(store)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def _rounds(question: Question, stores: Sequence[Store], rounds: int) -> list[list[float]]:
    """Return what each round took in each of the stores."""
    found: list[list[float]] = [[] for _ in stores]
    while len(found[0]) < rounds and max(map(sum, found)) < _WHILE:
        for store, seconds in zip(stores, found, strict=True):
            begun = time.process_time()
            question.ask(store)
            seconds.append(time.process_time() - begun)
    return found
