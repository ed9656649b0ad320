"""The compiled way of a call and its twin in Python write the same, and neither leaves anything behind."""

from __future__ import annotations

import gc
import json
import math
import random
import weakref
from collections.abc import Callable

import pytest
from ormsgpack import packb, unpackb
from provtel import current, task
from provtel.accelerator import accelerator
from provtel.activity import Activity
from provtel_model import compiled
from provtel_model.journal import find_journals
from provtel_model.journal.frames import OpenSegment
from provtel_model.journal.layout import Kind, segment_number
from provtel_model.record import Record

from tests.instrumentation.programs import Stage

Recorded = Callable[[], list[Record]]

SEED = 20
CALLS = 400
PROGRAM = """
import json, random, sys
from provtel import task

WORDS = json.loads(sys.argv[1])
random.seed(int(sys.argv[2]))

def number():
    size = random.choice((3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 62, 63, 64, 70))
    return random.choice((-1, 1)) * (random.getrandbits(size) + random.choice((-1, 0, 1)))

def value(depth=0):
    makers = [
        number,
        lambda: random.choice((0.0, -0.0, 1e308, -1e-320, float("inf"), float("-inf"), float("nan"), random.random())),
        lambda: random.choice((True, False, None)),
        lambda: random.choice(WORDS),
        lambda: "x" * random.choice((0, 1, 31, 32, 255, 256, 4000, 70_000)),
        lambda: random.randbytes(random.choice((0, 5, 300))),
    ]
    if depth < 3:
        makers += [
            lambda: [value(depth + 1) for _ in range(random.randrange(4))],
            lambda: {random.choice(WORDS): value(depth + 1) for _ in range(random.randrange(3))},
            lambda: (value(depth + 1),),
        ]
    return random.choice(makers)()

@task
def plain(a, b):
    return value()

@task(outputs="y", telemetry=False)
def lean(a, b=2, *, password=None):
    return a

@task(outputs=("y", "z"))
def several(*args, **kwargs):
    return args

class Model:
    @task
    def method(self, x):
        return x

for _ in range(int(sys.argv[3])):
    function = random.choice((plain, lean, Model().method, several))
    if function is plain:
        plain(value(), value())
    elif function is lean:
        random.choice((lambda: lean(value()), lambda: lean(value(), value()), lambda: lean(1, password=value())))()
    elif function is several:
        several(value(), value(), k=value())
    else:
        function(value())
"""
WORDS = [
    "",
    "a",
    "ä",
    "日本",
    "\ud800",
    "a\0b",
    "http://anna:secret@host/x",
    "://",
    "the secret of the environment",
    "and the secret of the environment in it",
    "provtel.type",
]


def payloads(stage: Stage, *, pure: bool) -> list[object]:
    """Return what a seeded program wrote by one of the twins, without ids, times and costs."""
    stage.environment = {compiled.VARIABLE: "1" if pure else "", "MY_PASSWORD": "the secret of the environment"}
    stage.run(PROGRAM, json.dumps(WORDS), str(SEED), str(CALLS))
    (journal,) = find_journals(stage.store)
    found: list[object] = []
    for segment in sorted(journal.glob("*.seg")):
        with OpenSegment(journal, segment_number(segment.name) or 0) as opened:
            found += [told(payload) for payload in opened.frames(skip_torn=False)]
    return found


def told(payload: bytes) -> object:
    """Return what a frame says that is the same in every run."""
    kind, *items = unpackb(payload)
    if kind == Kind.START:
        return "start", items[0], items[1], packb(items[6]), items[7:]
    if kind == Kind.END:
        return "end", items[2], packb(items[3]), [type(cost).__name__ for cost in items[4:6]], items[6:]
    return kind


@pytest.mark.skipif(accelerator is None, reason="the second run has no compiled twin")
def test_both_write_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is used and generated, whatever its kind, is in the journal byte for byte as the other twin writes it."""
    written = [payloads(Stage(tmp_path_factory.mktemp("twin")), pure=pure) for pure in (True, False)]

    assert len(written[0]) > 2 * CALLS
    assert written[0] == written[1]


def test_call_leaves_no_cycle(recorded: Recorded) -> None:
    """An activity goes with its call, without the garbage collector, however the call ends."""
    seen: list[weakref.ref[object]] = []

    @task
    def once(fails: bool) -> int:
        seen.append(weakref.ref(current()))
        if fails:
            raise ValueError("no")
        return 1

    gc.collect()
    gc.disable()
    try:
        once(False)
        with pytest.raises(ValueError, match="no"):
            once(True)
        with task("block") as block:
            seen.append(weakref.ref(block))
        del block
        assert [reference() for reference in seen] == [None, None, None]
    finally:
        gc.enable()
    assert len(recorded()) == 3


def test_references_are_balanced(recorded: Recorded) -> None:
    """Calls of every outcome leave the number of living objects as it was."""

    @task
    def anything(value: object) -> object:
        return value

    values = [1, 0.5, "text", None, True, [1], object(), math.nan, "ä", 2**70]
    rng = random.Random(SEED)  # noqa: S311  # a seeded choice

    def run() -> None:
        for _ in range(500):
            anything(rng.choice(values))

    run()
    gc.collect()
    before = len(gc.get_objects())
    run()
    gc.collect()
    assert abs(len(gc.get_objects()) - before) < 50
    assert not [found for found in gc.get_objects() if type(found) is Activity]
    assert len(recorded()) == 1000
