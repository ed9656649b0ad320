"""``provtel diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from provtel_cli import options
from provtel_cli.output import console, note, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_query.difference import Change, Cost, Difference
    from rich.table import Table

_WIDTH = 40


@click.command()
@click.argument("left", metavar="RUN")
@click.argument("right", metavar="RUN")
@click.option("--causes", is_flag=True, help="Only what no other difference explains.")
@options.json_option
@options.store_option
def diff(*, left: str, right: str, causes: bool, as_json: bool, store: str | None) -> int:
    """Show what is different between two runs.

    RUN is its id, the name of its workflow, or the first digits of an id of a record in it. Activities are aligned by
    structure and inputs, never by time. What caused other differences comes first: the first line is where the runs
    diverged. The exit code is 0 where they differ in nothing but time and cost, else 1, as with diff.
    """
    with options.opened(store) as opened:
        found = opened.diff(left, right)
    changes = found.causes if causes else found.changes
    if as_json:
        print_json(_objects(found, changes))
    else:
        _show(found, changes)
    return 0 if found.same else 1


def _objects(found: Difference, changes: list[Change]) -> Iterator[dict[str, Any]]:
    from provtel_query.friendly import as_json

    for key, (before, after) in found.environment.items():
        yield {"what": "environment", "key": key, "before": as_json(before), "after": as_json(after)}
    for key, (old, new) in found.packages.items():
        yield {"what": "package", "key": key, "before": list(old), "after": list(new)}
    for change in changes:
        yield {
            "what": change.what,
            "name": change.name,
            "key": change.key,
            "before": as_json(change.before),
            "after": as_json(change.after),
            "left": change.left.id if change.left else None,
            "right": change.right.id if change.right else None,
            "caused_by": list(change.caused_by),
        }
    for cost in found.costs:
        if cost.before != cost.after:
            figures = {"figure": cost.figure, "before": cost.before, "after": cost.after}
            yield {"what": "cost", "name": cost.name, **figures}


def _show(found: Difference, changes: list[Change]) -> None:
    out = console()
    tables = {
        "environment": _environment(found),
        "packages": _packages(found),
        "": _changes(changes),
        "cost": _costs(found.costs),
    }
    for title, table in tables.items():
        if table.row_count:
            if title:
                out.print(title)
            out.print(table)
    alike = f"{found.aligned} activities are the same step in both, {found.unchanged} of them without a difference"
    note(f"{alike}; {len(found.causes)} of {len(found.changes)} differences are explained by no other")


def _changes(changes: list[Change]) -> Table:
    from provtel_query.text import SHORT_ID, short_id

    from provtel_cli.table import folding_table

    table = folding_table("what", "activity", "where", "before", "after", "because of")
    for change in changes:
        where = change.right or change.left
        because = ", ".join(identity.rpartition("-")[2][:SHORT_ID] for identity in change.caused_by)
        place = f"{change.name} {short_id(where)}" if where else ""
        before, after = _value(change.before), _value(change.after)
        table.add_row(change.what, place, change.key, before, after + _delta(change), because)
    return table


def _environment(found: Difference) -> Table:
    from provtel_cli.table import folding_table

    table = folding_table("attribute", "before", "after")
    for key, (before, after) in found.environment.items():
        table.add_row(key, ", ".join(map(_value, before)), ", ".join(map(_value, after)))
    return table


def _packages(found: Difference) -> Table:
    from provtel_cli.table import folding_table

    table = folding_table("package", "before", "after")
    for name, versions in found.packages.items():
        table.add_row(name, *map(", ".join, versions))
    return table


def _costs(costs: list[Cost]) -> Table:
    from provtel_cli.table import folding_table

    table = folding_table("activity", "figure", "before", "after", "ratio")
    for cost in costs:
        if cost.before != cost.after:
            ratio = f"{cost.after / cost.before:.2f}x" if cost.before else ""
            table.add_row(cost.name, cost.figure, f"{cost.before:.6g}", f"{cost.after:.6g}", ratio)
    return table


def _value(value: Any) -> str:
    from provtel_query.text import value_text

    return "" if value is None else value_text(value, _WIDTH)


def _delta(change: Change) -> str:
    numbers = [value for value in (change.before, change.after) if isinstance(value, int | float)]
    if len(numbers) < len((change.before, change.after)) or any(isinstance(value, bool) for value in numbers):
        return ""
    return f" ({numbers[1] - numbers[0]:+.6g})"
