"""Tables fit the terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from provtel_cli.table import records_table
from provtel_cli.tasks import COLUMNS
from provtel_model.record import Record
from rich.console import Console

from tests.cli.conftest import fill
from tests.query.activities import activity, quickstart

if TYPE_CHECKING:
    from tests.cli.conftest import Ask


@pytest.mark.parametrize("width", [80, 120, 200])
def test_narrow_terminal_cuts_data_only(width: int) -> None:
    """Where a line is short, names, states, times and costs stay whole, and inputs and outputs are cut."""
    values = {f"hyperparameter_{number}": number / 7 for number in range(20)}
    record = Record(activity(1, "train_the_network", used=values, generated=values))
    page = io.StringIO()

    Console(file=page, width=width).print(records_table([record], COLUMNS))

    row = next(line for line in page.getvalue().splitlines() if "train" in line)
    assert len(row) <= width
    assert row.split()[1:3] == ["train_the_network", "finished"]
    assert "…" in row


def test_nothing_fills_lines_that_nobody_watches(ask: Ask, folder: Path) -> None:
    """A table that goes into a file ends each line where its text ends."""
    fill(folder / ".provtel", quickstart())

    lines = ask("tasks").out.splitlines()

    assert any("mult_two" in line for line in lines)
    assert lines == [line.rstrip() for line in lines]
