"""``provtel annotate`` and ``provtel annotations``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from provtel_cli import options
from provtel_cli.output import console, note, print_json

if TYPE_CHECKING:
    from provtel_query.annotations import Annotation


@click.command()
@click.argument("target", metavar="ID|VALUE")
@click.argument("said", metavar="KEY=VALUE...", nargs=-1, required=True)
@click.option("--by", metavar="WHO", help="Who says it; by default you.")
@options.json_option
@options.store_option
def annotate(*, target: str, said: tuple[str, ...], by: str | None, as_json: bool, store: str | None) -> None:
    """Say something of an activity or a datum, afterwards.

    ID|VALUE is what `provtel lineage` takes: an activity's id, a content hash, role=value, a file, or a value. VALUE is
    JSON, or plain text. What is said of data holds wherever the same content occurs.

    \b
    provtel annotate 33a24311 reviewed=true
    provtel annotate anatomy1.img center=UChicago --by me
    """  # noqa: D301  # \b keeps click from joining the lines
    with options.opened(store) as opened:
        kept = opened.annotate(target, dict(map(_pair, said)), by=by)
    if as_json:
        print_json([_object(kept)])
    else:
        note(f"said of {kept.of or target}, by {kept.by}")


@click.command("annotations")
@click.argument("target", metavar="[ID|VALUE]", required=False)
@click.option(
    "--where",
    "conditions",
    metavar="KEY=VALUE",
    multiple=True,
    help="Only those that say this. Several must all be said.",
)
@options.json_option
@options.store_option
def list_annotations(*, target: str | None, conditions: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """List what was said of an activity or a datum, or, without one, of all; oldest first."""
    from provtel_cli.table import folding_table

    wanted = dict(map(_pair, conditions))
    with options.opened(store) as opened:
        found = opened.annotations(target) if target else opened.annotated(wanted)
    if target:
        found = [each for each in found if all(each.said.get(key) == value for key, value in wanted.items())]
    if as_json:
        print_json(map(_object, found))
        return
    if not found:
        note("nothing was said")
        return
    table = folding_table("when", "by", "of", "said")
    for each in found:
        said = " ".join(f"{key}={value}" for key, value in each.said.items())
        table.add_row(f"{each.at.astimezone():%Y-%m-%d %H:%M}", each.by or "", _about(each), said)
    console().print(table)


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"{text!r} says nothing; write KEY=VALUE")
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError):
        return key, value


def _about(each: Annotation) -> str:
    identity = each.of
    activity = "" if identity is None else identity.rpartition("-")[2][:8]
    if each.role:
        return f"{activity} {each.role}"
    return activity or str(getattr(each.value, "uri", None) or each.value)


def _object(each: Annotation) -> dict[str, Any]:
    from provtel_query.friendly import as_json

    return {
        "id": each.record.id,
        "at": each.at.isoformat(),
        "by": each.by,
        "of": each.of,
        "role": each.role,
        "value": as_json(each.record.plain.get("used", {}).get("target")),
        "said": as_json(each.record.plain.get("generated", {})),
    }
