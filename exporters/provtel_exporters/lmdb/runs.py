"""The rows of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provtel_exporters.lmdb.index.block import RUN_PART, TRACE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from provtel_exporters.lmdb.index.block import Block
    from provtel_exporters.lmdb.index.blocks import Blocks
    from provtel_exporters.lmdb.parts import Parts


def rows_of_run(blocks: Blocks, parts: Parts, runs: Collection[str]) -> Iterator[tuple[Block, int]]:
    """Yield the block and the place of every living row of runs, by `provtel_model.record.run_of`."""
    for block in blocks:
        dead = blocks.dead(block)
        for place, run in enumerate(runs_of(block, parts)):
            if run in runs and place not in dead:
                yield block, place


def runs_of(block: Block, parts: Parts) -> list[str]:
    """Return the run of each row of a block: its workflow, or its trace where it has none."""
    traces = block.columns[TRACE].items()
    numbers: list[Any] = block.columns[RUN_PART].items()
    workflows = {number: parts[number][0] for number in {*numbers}}
    return [workflows[number] or trace.hex() for number, trace in zip(numbers, traces, strict=True)]
