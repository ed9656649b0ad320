"""A process that dies while it records: ``python -m benchmarks.capture.victim PEER ORACLE WAY``.

After each call it writes the call's number to the file ORACLE, unbuffered. With ``collect`` for a way it is the next
process instead: it prints the numbers of the calls that are still on record.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable

from benchmarks.capture.peers import load
from benchmarks.capture.peers.capture import Capture
from benchmarks.capture.workload import Function, pair, two

OWN, CHILDS = range(100), range(100, 200)
"""Calls of a parent and of the child that it forks."""

_PAUSE = 0.001


def live(capture: Capture, oracle: int) -> None:
    """Call for ever."""
    capture.start()
    _call(capture.wrap(two), range(10**9), oracle)


def fork(capture: Capture, oracle: int) -> None:
    """Call, fork a child that calls and leaves by ``os._exit``, and end well; the oracle has the child's calls."""
    capture.start()
    wrapped = capture.wrap(two)
    _call(wrapped, OWN, None)
    child = os.fork()
    if child == 0:
        _call(wrapped, CHILDS, oracle)
        os._exit(0)
    os.waitpid(child, 0)
    capture.stop()


def _call(wrapped: Function, numbers: Iterable[int], oracle: int | None) -> None:
    for number in numbers:
        wrapped(*pair(number))
        if oracle is not None:
            os.write(oracle, b"%d\n" % number)
        time.sleep(_PAUSE)


def collect(capture: Capture) -> list[int]:
    """Return the numbers of the calls that a dead process left on record."""
    capture.recover()
    return [int(output) // 2 for name, _, output in capture.records() if name == two.__name__]


def main(peer: str, oracle: str, way: str) -> None:
    """Do what the arguments name."""
    capture = load(peer)
    if way == "collect":
        print(json.dumps(collect(capture)))
        return
    file = os.open(oracle, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    (fork if way == "fork" else live)(capture, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
