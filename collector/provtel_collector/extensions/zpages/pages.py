"""The pages, as HTML; everything that is shown is escaped."""

from __future__ import annotations

import os
import platform
import sys
import time
from datetime import UTC, datetime, timedelta
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from provtel_collector import memory
from provtel_collector.delivery.journeys import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provtel_collector.view import View

_STYLE: Final = (
    "body{font-family:sans-serif} td,th{padding:.2em 1em;text-align:left} tr:nth-child(even){background:#eee}"
)
_NAMES: Final = ("servicez", "pipelinez", "extensionz", "featurez", "tracez")
_MIB: Final = 2**20


def service(view: View) -> str:
    """Return what the collector is, and how long it has run."""
    rows = {
        "Version": version("provtel"),
        "Python": sys.version.split()[0],
        "Platform": platform.platform(),
        "Process": str(os.getpid()),
        "Started": _time(view.started_at),
        "Uptime": str(timedelta(seconds=round(time.time() - view.started_at))),
        "Memory": f"{memory.resident() // _MIB} MiB",
    }
    listening = [(path, " ".join(where)) for path, where in view.addresses.items() if where]
    return _page("Service provtel", _table((), rows.items()), _table(("Component", "Listens on"), listening))


def pipelines(view: View) -> str:
    """Return the pipelines, and what they go through."""
    rows = [
        (str(id_), str(id_.signal), *(", ".join(map(str, ids)) or "-" for ids in parts))
        for id_, pipeline in sorted(view.configuration.pipelines.items())
        for parts in [(pipeline.receivers, pipeline.processors, pipeline.exporters)]
    ]
    return _page("Pipelines", _table(("FullName", "InputType", "Receivers", "Processors", "Exporters"), rows))


def extensions(view: View) -> str:
    """Return the extensions that run."""
    return _page("Extensions", _table(("Extension",), [(str(id_),) for id_ in view.configuration.extensions]))


def features(_view: View) -> str:
    """Return the feature gates: there are none."""
    return _page("Feature Gates", "<p>This collector has no feature gates.</p>")


def traces(view: View) -> str:
    """Return how long batches took from their receiver until they were durable, and the last that were refused."""
    head = ("Receiver", "Signal", "Underway", *(f"from {_seconds(bound)}" for bound in BOUNDS), "Refused lately")
    rows, failures = [], []
    for (receiver, signal), journeys in sorted(view.journeys.items()):
        refused = list(journeys.failures)
        counts = (str(count) for count in journeys.taken)
        rows.append((receiver, signal, str(journeys.underway), *counts, str(len(refused))))
        failures += [
            (_time(one.at), receiver, signal, str(one.items), _seconds(one.seconds), one.reason) for one in refused
        ]
    refusals = _table(("When", "Receiver", "Signal", "Items", "After", "Reason"), sorted(failures, reverse=True))
    return _page("Batches by time until they were durable", _table(head, rows), refusals if failures else "")


def _page(title: str, *parts: str) -> str:
    links = " ".join(f'<a href="/debug/{name}">{name}</a>' for name in _NAMES)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><p>{links}</p><h1>{escape(title)}</h1>{''.join(parts)}</body></html>\n"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    above = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    below = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{above}</tr>{below}</table>" if head else f"<table>{below}</table>"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", " UTC")


def _seconds(seconds: float) -> str:
    if seconds < 1e-3:  # noqa: PLR2004  # the units are told below
        return f"{seconds * 1e6:g} us"
    return f"{seconds * 1e3:g} ms" if seconds < 1 else f"{seconds:g} s"
