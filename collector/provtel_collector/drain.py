"""Brings pending journals into the embedded store, in the process of whoever reads it; needs no collector."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from provtel_collector_config.ids import Kind
from provtel_model.components import Context, DrainReport, Exporter
from provtel_model.errors import MalformedError, PermanentError, RetryableError, StoreError
from provtel_model.journal import (
    Destination,
    DrainOutcome,
    JournalDrainer,
    destination,
    drain_journal,
    find_journals,
)
from provtel_model.store_folder import keeps_segments

from provtel_collector.registry import find_factory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_EXPORTER: Final = "lmdb"
_HEARTBEAT_SECONDS: Final = 30.0

_drainers: Final[dict[Path, JournalDrainer]] = {}


def drain(store: Path) -> DrainReport:
    """Bring the pending journals of a store folder into its LMDB store; return when they are durable.

    Idempotent, and may run while the writers live; journals of other destinations are left alone.

    Raises:
        StoreError: The store cannot be written.
    """
    pending: list[Path] = []
    elsewhere: dict[Path, str] = {}
    for journal in find_journals(store):
        reason = _not_for(store, journal)
        if reason:
            elsewhere[journal] = reason
        else:
            pending.append(journal)
    records = _drain_into(store, pending, elsewhere) if pending else 0
    return DrainReport(records, len(pending) + len(elsewhere), elsewhere)


def _not_for(store: Path, journal: Path) -> str:
    """Return why a journal is not for a store; nothing where it is."""
    try:
        goal: Destination = destination(journal)
    except MalformedError as error:
        return str(error)
    if goal.store is None:
        return f"its records go to {goal.endpoint}"
    return "" if goal.store.resolve() == store.resolve() else f"its records go to {goal.store}"


def _drain_into(store: Path, journals: list[Path], elsewhere: dict[Path, str]) -> int:
    for gone in [journal for journal in _drainers if not journal.exists()]:
        del _drainers[gone]
    exporter = _exporter(store)
    records = 0
    exporter.start()
    try:
        for journal in journals:
            try:
                outcome = _drain_one(store, journal, exporter)
            except PermanentError as error:
                outcome = DrainOutcome(0, finished=False, skipped=f"the store does not take its records: {error}")
            records += outcome.records
            if outcome.skipped:
                elsewhere[journal] = outcome.skipped
    except RetryableError as error:
        raise StoreError(f"the store {store} cannot be written: {error}") from error
    finally:
        exporter.shutdown()
    return records


def _drain_one(store: Path, journal: Path, exporter: Exporter) -> DrainOutcome:
    """Drain a journal; where each write is a file, a process says of what still runs only now and then that it does."""
    if not keeps_segments(store):
        return drain_journal(journal, exporter.consume)
    drainer = _drainers.pop(journal, None) or JournalDrainer(journal)
    outcome = drainer.drain(exporter.consume, heartbeat=_HEARTBEAT_SECONDS)
    if not outcome.finished:
        _drainers[journal] = drainer
    return outcome


def _exporter(store: Path) -> Exporter:
    factory = find_factory(Kind.EXPORTERS, _EXPORTER)
    config = replace(factory.config(), store=str(store))
    exporter: Exporter = factory.create(config, Context(_EXPORTER, {}, _report_nothing))
    return exporter


def _report_nothing(_name: str, _count: int, _attributes: Mapping[str, str]) -> None:
    """Take a number that nobody asks for."""
