"""A program that has everything a program may have, decorated everywhere; with the argument ``plain``, nowhere.

It prints what it does, leaves a file, and ends with an exit code of its own. First of all and after each of its three
phases it runs what the variable ``BETWEEN`` says, which is how a test lets something happen in the middle.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

PLAIN = "plain" in sys.argv
PHASES = 3
TASKS_OF_A_PHASE = 300

if TYPE_CHECKING or not PLAIN:
    from provtel import agent, campaign, carry, current, loop, reference, task, workflow
else:
    from undecorated import agent, campaign, carry, current, loop, reference, task, workflow


@dataclass
class Sample:
    """A measurement."""

    number: int
    values: list[float]


class DivergedError(Exception):
    """The model is of no use."""


class Model:
    """Learns from samples."""

    def __init__(self, rate: float) -> None:
        """Begin with a weight of chance."""
        self.rate = rate
        self.weight = random.random()  # noqa: S311  # chance, no secret

    @task(outputs="weight")
    def fit(self, samples: list[Sample], *, epochs: int = 2) -> float:
        """Go over the samples."""
        for epoch in loop(epochs, name="epoch"):
            for sample in samples:
                self.weight += self.rate * (sum(sample.values) - self.weight)
            current().generated(weight=self.weight)
            current().set_attribute("epoch", epoch)
        if math.isnan(self.weight):
            raise DivergedError(self.rate)
        return self.weight

    @classmethod
    @task
    def make(cls, rate: float) -> Model:
        """Make one."""
        return cls(rate)

    @task
    @staticmethod
    def score(weight: float, secret_token: str) -> tuple[float, int]:
        """Judge a weight."""
        return round(weight, 6), len(secret_token)


def chance(number: int) -> list[float]:
    """Ask both generators of random numbers."""
    old_numpy = float(np.random.rand())  # noqa: NPY002  # what a seed of the whole process is for
    return [random.gauss(0, 1), old_numpy, random.uniform(0, number + 1)]  # noqa: S311  # as above


@task
def draw(number: int) -> Sample:
    """Draw a sample."""
    return Sample(number, chance(number))


@task(outputs="total")
def add(*terms: float, **named: float) -> float:
    """Take any number of arguments."""
    return sum(terms) + sum(named.values())


@task
def stream(samples: list[Sample]) -> Iterator[float]:
    """Yield one value after another."""
    for sample in samples:
        yield sample.values[0]


@task
async def wait(number: int) -> int:
    """Wait a little."""
    await asyncio.sleep(0.001 * (number % 3))
    if number == 4:
        raise DivergedError(number)
    return number


@task
async def ticks(count: int) -> AsyncIterator[int]:
    """Yield a few times."""
    for number in range(count):
        await asyncio.sleep(0)
        yield number


@task
def transform(matrix: np.ndarray) -> np.ndarray:
    """Change an array in place and return it."""
    matrix *= 2
    return matrix


@task
def work(number: int) -> int:
    """Run in another thread or process."""
    return number * number


@workflow
def concurrently() -> list[object]:
    """Use an event loop, threads and processes."""

    async def main() -> list[object]:
        outcomes = await asyncio.gather(*(wait(number) for number in range(6)), return_exceptions=True)
        return [repr(outcome) for outcome in outcomes] + [tick async for tick in ticks(3)]

    with ThreadPoolExecutor(3) as threads:
        squares: list[object] = list(threads.map(carry(work), range(8)))
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        squares += pool.map(carry(work), range(8, 12))
    process = get_context("spawn").Process(target=carry(work), args=(12,))
    process.start()
    process.join()
    thread = threading.Thread(target=partial(work, 13))
    thread.start()
    thread.join()
    return [*squares, process.exitcode, *asyncio.run(main())]


@workflow(tags=["phase"])
def phase(number: int) -> dict[str, object]:
    """Do a third of the work."""
    samples = [draw(index) for index in range(TASKS_OF_A_PHASE)]
    model = Model.make(0.1)
    weight = model.fit(samples[:20])
    with task("block", used={"weight": weight, "data": reference("s3://lab/data")}) as block:
        block.generated(score=Model.score(weight, "hunter2"))
    with task("after", used={"score": block.output("score")}):
        total = add(1, 2, *samples[0].values, third=3)
    doubled = transform(np.arange(4000.0)).sum()
    first = next(stream(samples))
    try:
        Model.make(math.inf).fit(samples, epochs=3)
    except DivergedError as error:
        current().tag("diverged")
        print("phase", number, "diverged", error)
    return {"weight": weight, "total": total, "doubled": float(doubled), "first": first}


def let_happen(after: int) -> None:
    """Run what the test wants to happen here."""
    if not PLAIN:
        exec(os.environ.get("BETWEEN", ""), {"after": after})  # noqa: S102  # the test's own


def main() -> None:
    """Do all of it, and end badly."""
    let_happen(-1)
    random.seed(42)
    np.random.seed(42)  # noqa: NPY002  # as above
    found = []
    with campaign("laboratory"), agent("anna", on_behalf_of="lab"), workflow("whole"):
        for number in loop(range(PHASES), name="phase"):
            found.append(phase(number))
            print("phase", number, found[-1], flush=True)
            let_happen(number)
        if "alone" not in sys.argv:
            print(concurrently())
    Path("result.json").write_text(json.dumps([found, chance(0)]))
    sys.exit(7)


if __name__ == "__main__":
    main()
