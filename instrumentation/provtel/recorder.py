"""Takes what is recorded to the journal, and what values were to their forms."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import provtel_model.record  # noqa: F401  # wanted by the first activity that is asked for its id
from provtel_model.errors import StoreError
from provtel_model.store_folder import find_store

from provtel import forking, marks, notices
from provtel.accelerator import accelerator
from provtel.detectors import python_environment
from provtel.process import describe
from provtel.same_object import Origins
from provtel.snapshot import Snapshots
from provtel.surroundings import NOWHERE
from provtel.writer import JournalWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from provtel_model.anyvalue import AnyValue

    from provtel.settings import Settings
    from provtel.shipper import Shipper
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
        self.surroundings = NOWHERE
        self.start = self._start_first
        """Write the start of an activity; where there is no journal it is dropped."""
        self.end = self._end_unwritten
        """Write the end of an activity whose start was written here."""
        self._writer: JournalWriter | None = None
        self._shipper: Shipper | None = None
        self._retry_at = 0.0
        self._opening = False
        self._late: list[Callable[[JournalWriter], None]] = []

    def _start_first(self, activity: Started) -> None:
        if self._comes_late(lambda writer: writer.start(activity)):
            return
        writer = self._open()
        if writer is not None:
            writer.start(activity)

    def _end_unwritten(self, activity: Started, payload: bytes) -> None:
        """Do nothing where there is no journal, for the start is not in it either."""
        self._comes_late(lambda writer: writer.end(activity, payload))

    def _comes_late(self, write: Callable[[JournalWriter], None]) -> bool:
        """Keep what a signal handler starts, ends and notes while the call that it interrupted makes the journal."""
        with forking.guard:
            if self._opening:
                self._late.append(write)
            return self._opening

    def note(self, payload: bytes) -> None:
        """Write a frame that stands alone; where there is no journal it is dropped."""
        if self._comes_late(lambda writer: writer.note(payload)):
            return
        writer = self._open()
        if writer is not None:
            writer.note(payload)

    def resource(self) -> dict[str, AnyValue]:
        """Return what every record says of this process; nothing where there is no journal."""
        writer = self._open()
        return {} if writer is None else writer.process.resource

    @property
    def journal(self) -> Path | None:
        """The folder of the journal that it writes, once there is one."""
        return None if self._writer is None else self._writer.folder

    def flush(self, timeout: float) -> bool:
        """Let all that ended reach its destination; say whether it did.

        Args:
            timeout: How many seconds it may take.
        """
        return self._shipper is None or self._shipper.flush(timeout)

    def close(self) -> None:
        """Give the journal up where nothing is open in it, so that whoever brings it in can take it away."""
        if self._writer is not None:
            self._writer.close_idle()

    def abandon(self) -> None:
        """Let go of the parent's journal, in a forked child."""
        if self._writer is not None:
            self._writer.forget()

    def _open(self) -> JournalWriter | None:
        with forking.guard:
            if self._writer is None and time.monotonic() >= self._retry_at:
                try:
                    self._opening = True
                    self._retry_at = time.monotonic() + _RETRY_SECONDS
                    self._writer = self._make()
                finally:
                    self._opening = False
                    late, self._late = self._late, []
                if self._writer is not None:
                    self._write_to(self._writer, late)
            return self._writer

    def _write_to(self, writer: JournalWriter, late: list[Callable[[JournalWriter], None]]) -> None:
        # From here on there is nothing between an activity and the writer.
        self.start, self.end = writer.start, writer.end
        if accelerator is not None:
            accelerator.configure(writing=self, writer=writer)
        for write in late:
            write(writer)

    def _make(self) -> JournalWriter | None:
        try:
            process = describe(self.settings.endpoint)
            writer = JournalWriter(find_store(), process, self.settings.max_journal_size)
        except (OSError, StoreError) as error:
            reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else error
            notices.say("journal", f"nothing is recorded: {reason}; your program goes on unharmed")
            return None
        if marks.mark(find_store(), python_environment.mark(self.settings.endpoint)):
            writer.note(python_environment.listing())
        if self.settings.endpoint:
            from provtel import shipper

            self._shipper = shipper.begin(self, writer, self.settings.endpoint)
        if self.settings.sampler:
            from provtel.telemetry import sampler

            sampler.begin(self, writer)
        return writer
