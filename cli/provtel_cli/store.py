"""``provtel store``: look after a store."""

from __future__ import annotations

from typing import Final

import click

from provtel_cli.lazy import LazyGroup

COMMANDS: Final = {
    "retain": ("provtel_cli.retain:retain", "Delete what is older than a length of time."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def store() -> None:
    """Look after a store: what is old in it."""
