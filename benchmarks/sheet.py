"""A table of figures, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True)
class Sheet:
    """One table.

    Args:
        title: Stands above it.
        columns: The first is text, all others are numbers.
        rows: As many cells each.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def table(self) -> Table:
        """Return it for a terminal."""
        table = Table(title=self.title, title_justify="left")
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """Return it for a page, without its title."""
        rule = ["---", *("---:" for _ in self.columns[1:])]
        return "\n".join(map(_line, (self.columns, rule, *self.rows)))

    def section(self) -> str:
        """Return it for a page, below its title."""
        return f"## {self.title}\n\n{self.markdown()}"


def held(holds: bool) -> str:  # noqa: FBT001  # what was measured
    """Return whether a figure is as it is to be, in a word."""
    return "held" if holds else "MISSED"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
