"""What goes to standard output and standard error: tables and trees for people, lines of JSON for programs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provtel_query import Store
    from rich.console import Console

T = TypeVar("T")

_WIDE: Final = 100_000
_FILLING: Final = re.compile(r" +$", re.MULTILINE)
_SHOWN: Final = 5


def console() -> Console:
    """Return the console for people; where nobody watches, no line is cut or wrapped."""
    from rich.console import Console

    options: dict[str, Any] = {} if sys.stdout.isatty() else {"width": _WIDE, "file": _Trimmed()}
    return Console(highlight=False, markup=False, emoji=False, **options)


class _Trimmed:
    """Standard output, without the blanks that fill a table's lines to its width."""

    def write(self, text: str) -> int:
        """Write a text that holds whole lines."""
        return sys.stdout.write(_FILLING.sub("", text))

    def flush(self) -> None:
        """Bring what was written out."""
        sys.stdout.flush()


def print_json(items: Iterable[Any]) -> None:
    """Print each item as JSON on a line of its own."""
    for item in items:
        click.echo(json.dumps(item, ensure_ascii=False))


def one_more(limit: int) -> int | None:
    """Return how many to ask a store for, so that `within` knows whether there are more."""
    return limit + 1 if limit else None


def within(found: list[T], limit: int) -> list[T]:
    """Return what is within a limit, 0 for none; say so where there is more."""
    if limit and len(found) > limit:
        note(f"these are the first {limit}; --limit N shows more, --limit 0 all")
        return found[:limit]
    return found


def note(text: str) -> None:
    """Tell a person something that is no part of the answer."""
    click.echo(f"provtel: {text}", err=True)


def explain_nothing(store: Store, wanted: str) -> None:
    """Say why an answer is empty, and where the records may be."""
    if "://" not in store.location and not Path(store.location).exists():
        note(f"there is no store {store.location}; go where the program ran, or name its store by --store")
        tell_waiting(store)
        return
    records = store.count()
    note(f"no {wanted}; the store {store.location} has {records or 'no'} record{'s' if records != 1 else ''}")
    tell_elsewhere(store)
    if not records:
        tell_waiting(store)


def tell_elsewhere(store: Store) -> None:
    """Say which journals were not brought into a store, and why."""
    left = list(store.drained.elsewhere.items())
    for journal, reason in left[:_SHOWN]:
        note(f"{journal} was left alone: {reason}")
    if len(left) > _SHOWN:
        note(f"{len(left) - _SHOWN} more journals were left alone")


def tell_waiting(store: Store) -> None:
    """Say for which other stores records of this user wait."""
    from provtel_cli.journals import waiting_elsewhere

    waiting = waiting_elsewhere(Path(store.location))
    for goal in waiting[:_SHOWN]:
        note(f"records of yours wait in journals for {goal}")
