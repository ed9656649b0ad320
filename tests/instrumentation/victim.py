"""A program that dies as it is told, and writes before, in and after each call how far it came."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from provtel import journal_folder, shipper, task, workflow

ORACLE = "oracle"
LEFT_OPEN, PARENT, BEFORE, AFTER = -1, -2, -3, -4


@dataclass(frozen=True)
class Plan:
    """How to live and how to die.

    Args:
        draw: Which of many deaths this is; every task has it as an input.
        start: How the process is started that dies.
        death: How it dies.
        at: Number of the first call that may die.
        depth: How many calls are around that one.
        delay: Die so many seconds later wherever the program is, and not in the call.
        segment: Size of the journal's segments.
    """

    draw: int
    start: str
    death: str
    at: int
    depth: int
    delay: float
    segment: int


def _run_true() -> None:
    program = shutil.which("true") or ""
    os.execv(program, [program])  # noqa: S606  # one of the deaths


def _fail() -> None:
    raise LookupError("told to")


# What can happen at any moment, and not in a call only.
SUDDEN: dict[str, Callable[[], object]] = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "os._exit": lambda: os._exit(3),
    "os.execv": _run_true,
}
DEATHS: dict[str, Callable[[], object]] = {
    **SUDDEN,
    "sys.exit": lambda: sys.exit(3),
    "exception": _fail,
    "daemon thread": lambda: None,
}


class Victim:
    """Does tasks until it dies.

    Args:
        plan: How.
    """

    def __init__(self, plan: Plan) -> None:
        """Open the oracle; nothing is recorded yet."""
        self._plan = plan
        self._oracle = os.open(ORACLE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self._numbers = itertools.count(1)
        self._ready = threading.Event()

    def tell(self, event: str, number: int) -> None:
        """Write to the oracle, past every buffer."""
        os.write(self._oracle, f"{event} {number}\n".encode())

    def call(self, number: int, inner: int = 0) -> None:
        """Run one task, with others in it, and tell before and after."""
        self.tell("begin", number)
        try:
            self.step(self._plan.draw, number, inner)
        except BaseException:
            self.tell("raised", number)
            raise
        self.tell("done", number)

    @task(outputs="double")
    def step(self, draw: int, number: int, inner: int) -> int:  # noqa: ARG002  # an input by which it is found
        """Tell what happens inside."""
        self.tell("inside", number)
        if inner:
            self.call(next(self._numbers), inner - 1)
        elif number >= self._plan.at:
            self._reach()
        self.tell("leaving", number)
        return 2 * number

    def live(self) -> None:
        """Leave one task open and do others until death comes."""
        task("left open", used={"draw": self._plan.draw, "number": LEFT_OPEN}).start()
        self.tell("inside", LEFT_OPEN)
        if self._plan.death == "daemon thread":
            threading.Thread(target=self._go_on, daemon=True).start()
            self._ready.wait()
            time.sleep(self._plan.delay)
        else:
            self._go_on()

    def _go_on(self) -> None:
        while True:
            number = next(self._numbers)
            self.call(number, self._plan.depth if number >= self._plan.at else 0)

    def _reach(self) -> None:
        """Die now, or begin to wait for death."""
        if self._ready.is_set():
            return
        self._ready.set()
        if self._plan.delay and self._plan.death in SUDDEN:
            threading.Timer(self._plan.delay, DEATHS[self._plan.death]).start()
        else:
            DEATHS[self._plan.death]()


def live(plan: Plan) -> None:
    """Live and die in this process."""
    journal_folder.SEGMENT_SIZE = plan.segment  # type: ignore[misc]  # many segments in a short life
    shipper._INTERVAL = 0.02  # type: ignore[misc]  # death in the middle of shipping too
    Victim(plan).live()


def _fork(plan: Plan) -> None:
    child = os.fork()
    if not child:
        live(plan)
        sys.exit()
    os.waitpid(child, 0)


def _start_process(plan: Plan, method: str) -> None:
    # Every method's processes have the same interface, of which typeshed knows no common base.
    process = multiprocessing.get_context(method).Process(target=live, args=(plan,))  # type: ignore[attr-defined]
    process.start()
    process.join()


def _use_pool(plan: Plan, method: str) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        pool.submit(live, plan).exception()


def _start(plan: Plan) -> None:
    kind, _, method = plan.start.partition(" ")
    if kind == "fork":
        _fork(plan)
    elif kind == "process":
        _start_process(plan, method)
    else:
        _use_pool(plan, method)


STARTS = (
    *("plain", "fork", "process fork", "process forkserver", "process spawn"),
    *("pool fork", "pool forkserver", "pool spawn"),
)


def main(plan: Plan) -> None:
    """Live and die here, or be the parent of who does, with tasks of one's own before, around and after."""
    if plan.start == "plain":
        live(plan)
        return
    parent = Victim(Plan(plan.draw, plan.start, plan.death, sys.maxsize, 0, 0, plan.segment))
    with workflow("parent", used={"draw": plan.draw, "number": PARENT}) as running:
        parent.tell("inside", PARENT)
        parent.call(BEFORE)
        _start(plan)
        parent.call(AFTER)
        running.generated(double=2 * PARENT)
    parent.tell("done", PARENT)


if __name__ == "__main__":
    main(Plan(**json.loads(sys.argv[1])))
