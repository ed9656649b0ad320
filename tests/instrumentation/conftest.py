"""Stages for programs, and a recorder for what runs in the test itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.context import Context
from provtel import notices, recording, settings
from provtel.otel_context import attach, detach
from provtel_model.record import Record

from tests.instrumentation.programs import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Give a folder for programs."""
    return Stage(tmp_path)


@pytest.fixture
def recorded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Record]]]:
    """Record what runs in this process into a journal of its own; calling it ends the journal and gives the records."""
    for name in ("PROVTEL_DISABLED", "PROVTEL_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PROVTEL_STORE", str(stage.store))
    monkeypatch.setenv("XDG_STATE_HOME", str(stage.folder / "state"))
    _forget()
    # A test may leave something running: that is not to be the parent of what the next one starts.
    token = attach(Context())
    yield lambda: _finish(stage)
    detach(token)
    _forget()


def _finish(stage: Stage) -> list[Record]:
    _forget()
    return stage.records()


def _forget() -> None:
    recorder = recording.recorder()
    if recorder is not None:
        recording.retire(recorder)
        if recorder._writer is not None:
            recorder._writer.close()
    settings.current.cache_clear()
    notices._counts.clear()
