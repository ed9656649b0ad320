"""What records in this process: made by the first activity, left behind by a forked child, gone when switched off."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Final

from provtel_model.errors import StoreError
from provtel_model.store_folder import find_store

from provtel import notices, settings
from provtel.process import describe
from provtel.same_object import Origins
from provtel.snapshot import Snapshots
from provtel.writer import JournalWriter, make_journal

if TYPE_CHECKING:
    from provtel.settings import Settings
    from provtel.writer import Started

_RETRY_SECONDS: Final = 5.0


class Recorder:
    """Takes starts and ends of activities to the journal, which it opens with the first of them.

    Args:
        chosen: What it runs by.
    """

    def __init__(self, chosen: Settings) -> None:
        """Prepare; nothing is written yet."""
        self.settings = chosen
        self.snapshots = Snapshots(chosen)
        self.origins = Origins()
        self._writer: JournalWriter | None = None
        self._retry_at = 0.0
        self._opening = threading.Lock()

    @property
    def writer(self) -> JournalWriter | None:
        """The journal's writer, once there is one."""
        return self._writer

    def start(self, activity: Started) -> None:
        """Write the start of an activity; where there is no journal it is counted as dropped."""
        writer = self._writer or self._open()
        if writer is not None:
            writer.start(activity)

    def end(self, activity: Started, payload: bytes) -> None:
        """Write the end of an activity whose start was written here."""
        if self._writer is not None:
            self._writer.end(activity, payload)

    def abandon(self) -> None:
        """Let go of the parent's journal, in a forked child."""
        if self._writer is not None:
            self._writer.forget()

    def _open(self) -> JournalWriter | None:
        # A signal handler that interrupts the opening records nothing rather than waiting for ever.
        if not self._opening.acquire(timeout=1.0):
            return None
        try:
            if self._writer is None and time.monotonic() >= self._retry_at:
                self._retry_at = time.monotonic() + _RETRY_SECONDS
                self._writer = self._make()
            return self._writer
        finally:
            self._opening.release()

    def _make(self) -> JournalWriter | None:
        try:
            store = find_store()
            process = describe(store, self.settings.endpoint)
            writer = make_journal(store, process, self.settings.max_journal_size)
        except (OSError, StoreError) as error:
            reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else error
            notices.say("journal", f"nothing is recorded: {reason}; your program goes on unharmed")
            return None
        if self.settings.endpoint:
            from provtel import shipper

            shipper.begin(self, writer, self.settings.endpoint)
        return writer


_current: Recorder | None = None


def recorder() -> Recorder | None:
    """Return what records in this process; ``None`` where capture is switched off."""
    global _current  # noqa: PLW0603  # there is one journal a process
    if _current is None:
        chosen = settings.current()
        if chosen.disabled:
            return None
        _current = Recorder(chosen)
    return _current


def retire(old: Recorder) -> None:
    """Record into a new journal from now on, which the next activity makes."""
    global _current  # noqa: PLW0603  # as above
    if _current is old:
        _current = None


def _after_fork_in_child() -> None:
    parents = _current
    if parents is not None:
        retire(parents)
        parents.abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)
