"""``provtel store``: look after a store."""

from __future__ import annotations

from typing import Final

import click

from provtel_cli.lazy import LazyGroup

COMMANDS: Final = {
    "stats": ("provtel_cli.store_stats:stats", "Show what a store holds, and what it takes."),
    "verify": ("provtel_cli.store_verify:verify", "Look for damage."),
    "compact": ("provtel_cli.store_compact:compact", "Give the space of what was deleted back to the disk."),
    "retain": ("provtel_cli.store_retain:retain", "Delete what is older than a length of time."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def store() -> None:
    """Look after a store."""
