"""Ships this process's journal to an OTLP endpoint: a thread that drains it, and what dead siblings left behind."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING, Final

from provtel_model.components import Signal
from provtel_model.errors import DeliveryError, MalformedError, RetryableError
from provtel_model.journal import JournalDrainer, destination, drain_journal, find_journals, is_dead

from provtel import forking, ids, notices, recording
from provtel.sender import RefusedError, Sender

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provtel_model.components import Batch

    from provtel.recorder import Recorder
    from provtel.writer import JournalWriter

_INTERVAL: Final = 1.0
_LOADED_LATE: Final = ("provtel_model.journal.spans", "encodings.idna")
"""The codec, with protobuf, for which the first activity does not wait; and what a connection loads."""
_HEARTBEAT: Final = 30.0
_SIBLINGS_INTERVAL: Final = 5.0
_FIRST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 30.0
_OWN_THREADS: Final = 2  # the main one and the shipper
_process_that_ends = 0


class Shipper:
    """Drains a journal into an endpoint until the process ends; what it cannot deliver stays in the journal.

    Args:
        owner: Whose journal it is.
        writer: Writes the journal.
        endpoint: Where the records go.
    """

    def __init__(self, owner: Recorder, writer: JournalWriter, endpoint: str) -> None:
        """Prepare; `start` begins."""
        self._owner = owner
        self._writer = writer
        self._exit_timeout = owner.settings.exit_timeout
        self._sender = Sender(endpoint)
        self._drainer = JournalDrainer(writer.folder)
        self._pid = os.getpid()
        self._ending = threading.Event()
        self._awake = threading.Event()
        self._shipped = threading.Condition()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="provtel-shipper", daemon=True)
        self._wait = _FIRST_WAIT
        self._acknowledged = 0
        self._looked_at = 0
        self._beat_at = 0.0
        self._siblings_at = 0.0
        self._left_alone: set[Path] = set()
        self._problem = ""
        self._delivered = False
        self._closed = False

    def start(self) -> None:
        """Begin to ship; a process that is already ending only keeps its journal."""
        with contextlib.suppress(RuntimeError):
            self._thread.start()
            atexit.register(self.finish)
            self._finish_before_a_worker_exits()

    def finish(self) -> None:
        """Ship what is left and wait for it, no longer than the exit timeout; say what stays behind."""
        if self._pid != os.getpid() or self._done.is_set():
            return
        self._leave_journal()
        self._ending.set()
        self._awake.set()
        with contextlib.suppress(KeyboardInterrupt):
            self._done.wait(self._exit_timeout)
        if not self._delivered:
            pending = self._writer.ends - self._acknowledged + len(self._writer.open)
            some = f"{pending} record{'' if pending == 1 else 's'} of this process"
            why = self._problem or "no answer yet"
            notices.say(
                "pending",
                f"{some} were not acknowledged by {self._sender.endpoint} ({why}); they are kept in "
                f"{self._writer.folder}; `provtel ship --store {self._writer.folder.parent.parent}` sends them, as do "
                "the next process that records into this store and a collector with the journal receiver",
            )
        self._done.set()

    def _finish_before_a_worker_exits(self) -> None:
        # A worker of multiprocessing leaves by os._exit, which runs its finalisers and not atexit.
        if "multiprocessing.util" in sys.modules:
            from multiprocessing import parent_process
            from multiprocessing.util import Finalize

            if parent_process() is not None:
                Finalize(None, self.finish, exitpriority=100)

    def _run(self) -> None:
        with forking.guard:
            for name in _LOADED_LATE:
                import_module(name)
        wait = _INTERVAL
        while not self._ends_within(wait):
            wait = max(self._try_round(), _INTERVAL)
        give_up_at = time.monotonic() + self._exit_timeout
        while (wait := self._try_round()) and not self._delivered and time.monotonic() + wait < give_up_at:
            time.sleep(wait)
        if self._delivered and self._close_journal():
            self._try_round()
        self._sender.close()
        self._done.set()

    def _ends_within(self, seconds: float) -> bool:
        """Wait, unless somebody wants it all sent now; say whether the process ends."""
        self._awake.wait(seconds)
        self._awake.clear()
        return self._ending.is_set()

    def flush(self, timeout: float) -> bool:
        """Ship what is in the journal now, and wait for it; say whether all of it was acknowledged in time."""
        wanted, until = self._writer.appended, time.monotonic() + timeout
        with self._shipped:
            while self._looked_at < wanted and not self._done.is_set():
                self._awake.set()
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._shipped.wait(min(left, _INTERVAL))
        return self._looked_at >= wanted

    def _try_round(self) -> float:
        """Ship what there is; return how long to wait before the next attempt, 0 where all went well."""
        try:
            self._ship_own()
            self._ship_siblings()
        except RetryableError as error:
            self._problem = str(error)
            # Spread over processes; the global `random` is the user's.
            wait = error.retry_after or self._wait * ids.GENERATOR.uniform(0.5, 1)
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
            return wait
        except DeliveryError as error:
            self._problem = str(error)
            notices.say("refused", f"records stay in the journal: {error}")
            return _LONGEST_WAIT
        except Exception as error:  # noqa: BLE001  # the thread must live as long as the process
            notices.capture_failed("what was to be shipped", error)
            return _LONGEST_WAIT
        self._wait = _FIRST_WAIT
        return 0.0

    def _ship_own(self) -> None:
        appended, ending = self._writer.appended, self._ending.is_set()
        now = time.monotonic()
        if appended == self._looked_at and now < self._beat_at and not ending:
            return
        if self._drainer.journal != self._writer.folder:
            self._drainer = JournalDrainer(self._writer.folder)
        with self._without_refused_logs():
            outcome = self._drainer.drain(self._take, heartbeat=0.0 if ending else _HEARTBEAT, exiting=ending)
            if outcome.skipped is not None:
                raise RetryableError(outcome.skipped)
        with self._shipped:
            self._looked_at, self._beat_at = appended, now + _HEARTBEAT
            self._shipped.notify_all()
        self._delivered = ending

    def _ship_siblings(self) -> None:
        """Ship the journals of dead processes that were to go to the same endpoint."""
        now = time.monotonic()
        if now < self._siblings_at and not self._ending.is_set():
            return
        self._siblings_at = now + _SIBLINGS_INTERVAL
        for journal in find_journals(self._writer.folder.parent.parent):
            if journal != self._writer.folder and journal not in self._left_alone and self._is_ours(journal):
                # Those that stay because of refused logs would stay again.
                self._left_alone.add(journal)
                with self._without_refused_logs():
                    drain_journal(journal, self._sender.send)

    def _is_ours(self, journal: Path) -> bool:
        try:
            return destination(journal).endpoint == self._sender.endpoint and is_dead(journal)
        except MalformedError:
            return False

    def _take(self, batch: Batch) -> None:
        try:
            self._sender.send(batch)
        except RefusedError as error:
            if error.signal is Signal.METRICS:
                notices.say("metrics", f"metrics are dropped: {error}")
            raise
        if batch.signal is Signal.TRACES:
            self._acknowledged += batch.items

    @contextlib.contextmanager
    def _without_refused_logs(self) -> Iterator[None]:
        """Go on where an endpoint takes spans and no logs: what is open or lost stays in the journal."""
        try:
            yield
        except RefusedError as error:
            if error.signal is not Signal.LOGS:
                raise
            notices.say("logs", f"running and lost activities stay in the journal: {error}")

    def _leave_journal(self) -> None:
        """See to it that the journal comes to an end: what starts from now on goes to another one."""
        global _process_that_ends  # noqa: PLW0603  # a process ends once
        _process_that_ends = self._pid
        recording.retire(self._owner)
        if threading.active_count() <= _OWN_THREADS:
            self._close_journal()

    def _close_journal(self) -> bool:
        """Give the journal up where nothing is open in it, so that it is removed when all is acknowledged."""
        if self._closed or not self._writer.close_idle():
            return False
        self._closed = True
        return True


def begin(owner: Recorder, writer: JournalWriter, endpoint: str) -> Shipper | None:
    """Ship a journal from now on until the process ends; what comes after that is for others to ship."""
    if _process_that_ends == os.getpid():
        return None
    shipper = Shipper(owner, writer, endpoint)
    shipper.start()
    return shipper
