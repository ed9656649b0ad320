"""However a process dies, however it was started, at any point: what ended is there once, what was open is lost."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from provtel_cli.shipping import ship_journals
from provtel_model.journal import find_journals
from provtel_model.record import Record
from provtel_query import connect

from tests.end_to_end.processes import Collector, Place, collecting
from tests.instrumentation import victim
from tests.instrumentation.programs import Stage
from tests.instrumentation.victim import Plan

SEED = 4
FEW = 12
MANY = 252
ATTEMPTS = 5
SECONDS = 30
ENDPOINTS = ("none", "answers", "away")
MATRIX = [*itertools.product(sorted(victim.DEATHS), victim.STARTS, ENDPOINTS)]
random.Random(SEED).shuffle(MATRIX)  # noqa: S311  # seeded, so that every run has the same draws

ENDED = {"finished", "error", "cancelled"}


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """Run one collector, with a store of its own, for all draws."""
    with collecting(Place(tmp_path_factory.mktemp("collector"))) as running:
        yield running


@pytest.mark.parametrize("number", range(FEW))
def test_death(number: int, stage: Stage, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few deaths of the matrix, each at a random point, lose nothing and double nothing."""
    _draw(number, stage, collector, monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("number", range(FEW, MANY))
def test_many_deaths(number: int, stage: Stage, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every death with every start, with and without an endpoint, loses nothing and doubles nothing."""
    _draw(number, stage, collector, monkeypatch)


def _draw(number: int, stage: Stage, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one process die; where it had ended nothing or had nothing open, the draw does not count and is repeated."""
    monkeypatch.setenv("XDG_STATE_HOME", str(stage.folder / "state"))
    death, start, endpoint = MATRIX[number % len(MATRIX)]
    for attempt in range(ATTEMPTS):
        chance = random.Random(f"{SEED} {number} {attempt}")  # noqa: S311  # as above
        sudden = death == "daemon thread" or (death in victim.SUDDEN and chance.random() < 0.5)
        plan = Plan(
            draw=number * ATTEMPTS + attempt,
            start=start,
            death=death,
            at=chance.randint(1, 300),
            depth=chance.randint(0, 3),
            delay=chance.uniform(0.0001, 0.04) if sudden else 0.0,
            segment=chance.choice((4096, 65536, 4 * 2**20)),
        )
        began = datetime.now(UTC)
        told = _let_die(plan, stage, endpoint, collector)
        verdict = _judge(told, _records(plan, began, stage, endpoint, collector))
        assert not verdict, f"{plan} with an endpoint that is {endpoint}: " + "; ".join(verdict[:5])
        if _counts(told):
            return
    pytest.fail(f"in {ATTEMPTS} attempts nothing ended or nothing was open: {plan}")


def _let_die(plan: Plan, stage: Stage, endpoint: str, collector: Collector) -> dict[int, set[str]]:
    """Run the victim; return what it told of each call."""
    oracle = stage.folder / victim.ORACLE
    oracle.unlink(missing_ok=True)
    environment = stage.variables() | {"PROVTEL_EXIT_TIMEOUT": "200ms" if endpoint == "away" else "5s"}
    if endpoint != "none":
        environment["PROVTEL_ENDPOINT"] = collector.endpoint if endpoint == "answers" else "http://127.0.0.1:1"
    with (stage.folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, victim.__file__, json.dumps(asdict(plan))],
            cwd=stage.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            process.wait(SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert "could not be recorded" not in (stage.folder / "stderr").read_text()
    told: dict[int, set[str]] = defaultdict(set)
    for line in oracle.read_text().splitlines():
        event, number = line.split()
        told[int(number)].add(event)
    return told


def _records(plan: Plan, began: datetime, stage: Stage, endpoint: str, collector: Collector) -> list[Record]:
    """Bring in all that is pending, the way a user does; return what the store then has of a draw."""
    give_up_at = time.monotonic() + SECONDS
    while True:
        if endpoint == "none":
            connect(stage.store).close()
        else:
            ship_journals(stage.store, collector.endpoint)
        if not find_journals(stage.store):
            break
        # A process that was killed lives on for a moment.
        assert time.monotonic() < give_up_at, f"{plan}: journals stay: {find_journals(stage.store)}"
        time.sleep(0.01)
    store = stage.store if endpoint == "none" else collector.place.store
    with connect(store, drain=False) as opened:
        # The time spares the store to look at what all draws before have left.
        wanted = {"used.draw": plan.draw, "started_at": {"$gte": began}}
        return opened.tasks(wanted, all_runs=True, limit=None) + opened.workflows(wanted, limit=None)


def _judge(told: dict[int, set[str]], records: list[Record]) -> list[str]:
    """Return what is wrong with the records, by what the victim told."""
    by_number: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        by_number[int(record.used["number"])].append(record)
    wrong = [f"{number} never began" for number in by_number.keys() - told.keys()]
    for number, events in told.items():
        found = by_number[number]
        states = {record.status.value for record in found}
        if len(found) != 1 and ("inside" in events or found):
            wrong.append(f"{number} has {len(found)} records after {sorted(events)}")
        elif not states <= _possible(events):
            wrong.append(f"{number} is {states} after {sorted(events)}")
        elif states == {"finished"} and "double" in found[0].generated and found[0].generated["double"] != 2 * number:
            wrong.append(f"{number} has {found[0].generated}")
        elif "done" in events and found[0].generated != {"double": 2 * number}:
            wrong.append(f"{number} is done and has {found[0].generated}")
    return wrong


def _possible(events: set[str]) -> set[str]:
    """Return the states that a task can have after what was told of it."""
    if "done" in events:
        return {"finished"}
    if "raised" in events:
        return ENDED - {"finished"}
    if "leaving" in events:
        return {"finished", "lost"}
    return {"lost"}


def _counts(told: dict[int, set[str]]) -> bool:
    """Say whether the process that died had ended something and had something open."""
    own = [events for number, events in told.items() if number >= victim.LEFT_OPEN]
    return any("done" in events for events in own) and any("inside" in events and len(events) <= 2 for events in own)
