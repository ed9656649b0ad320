"""What is wrong with a configuration: every problem with its place, all told together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provtel_model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

Path = tuple[str | int, ...]
"""Where something is inside a document: the keys and indices that lead to it."""


def spell(path: Path) -> str:
    """Return a path as the OpenTelemetry Collector writes it."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f"::{step}"
    return text.removeprefix("::")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a source.

    Args:
        source: The file, preset, variable or option.
        line: Its line, counted from one; 0 where there is but one.
    """

    source: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Args:
        message: What, and what to do.
        path: Where inside the document.
        place: Where in a file, as far as known.
        at: The path of what stands at that place, where it is another one.
    """

    message: str
    path: Path = ()
    place: Place | None = None
    at: Path = ()

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place or ""), spell(self.path), self.message) if part)


class InvalidConfigurationError(ConfigError):
    """A configuration with problems; its text has a line for each.

    Args:
        problems: All that were found, at least one.
        warnings: What may be the reason: variables that are not set.
    """

    def __init__(self, problems: Iterable[Problem], warnings: Iterable[str] = ()) -> None:
        """Keep the problems beside the text."""
        self.problems = tuple(problems)
        self.warnings = tuple(warnings)
        super().__init__("\n".join(map(str, self.problems)))
