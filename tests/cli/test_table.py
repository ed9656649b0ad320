"""Tables fit the terminal."""

from __future__ import annotations

import io

import pytest
from provtel_cli.table import records_table
from provtel_cli.tasks import DEFAULT_COLUMNS
from provtel_model.record import Record
from rich.console import Console

from tests.query.activities import activity


@pytest.mark.parametrize("width", [80, 120, 200])
def test_narrow_terminal_cuts_data_only(width: int) -> None:
    """Where a line is short, names, states, times and costs stay whole, and inputs and outputs are cut."""
    values = {f"hyperparameter_{number}": number / 7 for number in range(20)}
    record = Record(activity(1, "train_the_network", used=values, generated=values))
    page = io.StringIO()

    Console(file=page, width=width).print(records_table([record], DEFAULT_COLUMNS.split(",")))

    row = next(line for line in page.getvalue().splitlines() if "train" in line)
    assert len(row) <= width
    assert row.split()[1:3] == ["train_the_network", "finished"]
    assert "…" in row
