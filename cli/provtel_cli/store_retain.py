"""``provtel store retain``."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from provtel_model.errors import UserError

from provtel_cli import options
from provtel_cli.confirming import confirm, yes_option
from provtel_cli.output import note, print_json

if TYPE_CHECKING:
    from provtel_query.retention import Expired

_DAYS: Final = re.compile(r"(\d{1,6})([dw])")
_SECONDS: Final = {"d": 86_400, "w": 7 * 86_400}
_NANOSECONDS: Final = 1_000_000_000


class Age(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in newer versions only
    """A length of time, in seconds; as settings write it, and in days and weeks."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds that a text says."""
        from provtel_model.settings import Duration

        days = _DAYS.fullmatch(str(value))
        try:
            seconds = int(days[1]) * _SECONDS[days[2]] if days else Duration.parse(str(value))
        except ValueError:
            seconds = 0
        if seconds <= 0:
            self.fail(f"{value!r} is no length of time; write 30d, 8w or 12h", param, ctx)
        return seconds


@click.command()
@click.option("--older-than", "age", metavar="AGE", type=Age(), required=True, help="Such as 30d, 8w or 12h.")
@click.option("--except-campaign", "campaigns", metavar="ID", multiple=True, help="Keep the runs of this campaign.")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@yes_option
@options.json_option
@options.store_option
def retain(
    *, age: float, campaigns: tuple[str, ...], dry_run: bool, yes: bool, as_json: bool, store: str | None
) -> None:
    """Delete whole runs in which nothing began, ended or was said for so long, and data points and log records as old.

    Runs with an activity that has not ended stay. Asks first. For a timer, give --yes.

    \b
    provtel store retain --older-than 30d --except-campaign paper-7 --dry-run
    """  # noqa: D301  # \b keeps click from joining the lines
    from provtel_query.retention import delete_runs, delete_telemetry, expired

    before = time.time_ns() - int(age * _NANOSECONDS)
    with options.opened(store) as opened:
        if "://" not in opened.location and not Path(opened.location).exists():
            raise UserError(f"there is no store {opened.location}; name another by --store")
        found = expired(opened.reader, before, campaigns)
        location = opened.location
    result: dict[str, Any] = {"before": before, "runs": list(found.runs), "records": found.records}
    result |= {"spared": found.spared, "underway": found.underway}
    if not dry_run:
        if not yes:
            confirm(f"Delete {_told(found)}, and telemetry as old, from {location}?")
        result["records"] = delete_runs(store or location, list(found.runs)) if found.runs else 0
        result["telemetry"] = delete_telemetry(store or location, before)
    if as_json:
        print_json([result])
        return
    telemetry = f", and {result['telemetry']} data points and log records" if not dry_run else ""
    click.echo(f"{'would delete' if dry_run else 'deleted'} {_told(found)}{telemetry}")
    if found.spared or found.underway:
        note(f"as old, and kept: {len(found.spared)} of kept campaigns, {len(found.underway)} that have not ended")


def _told(found: Expired) -> str:
    return f"{len(found.runs)} run{'' if len(found.runs) == 1 else 's'} with {found.records} records"
