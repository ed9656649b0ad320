"""The ``journal`` receiver: looks for journals again and again, and drains those that are its business."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model.components import Signal
from provtel_model.errors import ConfigError, DeliveryError, MalformedError, RetryableError
from provtel_model.journal import JournalDrainer, destination, find_journals, is_dead, registered_journals
from provtel_model.store_folder import find_store

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context

    from provtel_collector.receivers.journal.config import JournalConfig

_log = logging.getLogger(__name__)

# An activity that runs on is told of again this often, so that a store knows that its process lived.
_HEARTBEAT_SECONDS: Final = 30.0
# Less than the time in which the process is to stop.
_STOP_SECONDS: Final = 10.0


class JournalReceiver:
    """Drains the journals whose records are for this collector's store, or whose writers died before they shipped.

    A journal is drained while its writer lives if its records are for the store; one that ships to an endpoint is left
    to its writer until that is dead, unless it is to be followed. What the pipelines do not take stays in the journal.
    Other drainers may be at work on the same journals: each record comes to one of them.

    Args:
        config: What the user wrote.
        context: Where it stands; journals hold spans and log records, and both must have a way on.
    """

    def __init__(self, config: JournalConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._store = Path(config.store).expanduser().absolute() if config.store else find_store()
        self._drainers: dict[Path, JournalDrainer] = {}
        self._told: dict[Path, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name=f"provtel-{context.id}", daemon=True)

    def start(self) -> None:
        """Begin to look for journals.

        Raises:
            ConfigError: Only one of traces and logs has a way on.
        """
        missing = {Signal.TRACES, Signal.LOGS} - self._context.next.keys()
        if missing:
            message = f"is in no pipeline of {missing.pop()}; journals hold traces and logs, name it in both"
            raise ConfigError(message, f"receivers::{self._context.id}")
        self._context.observe("journal_receiver_journals", lambda: len(self._drainers), {})
        self._thread.start()

    def shutdown(self) -> None:
        """Stop after the batch that is being given on, or after a while: what was not taken stays in its journal."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _poll(self) -> None:
        while True:
            self._drain_all()
            if self._stopping.wait(self._config.poll_interval):
                return

    def _drain_all(self) -> None:
        try:
            journals = self._journals()
        except OSError as error:
            _log.warning("%s: journals cannot be looked for: %s", self._context.id, error)
            return
        self._drainers = {journal: self._drainers.get(journal) or JournalDrainer(journal) for journal in journals}
        self._told = {journal: text for journal, text in self._told.items() if journal.exists()}
        for journal, drainer in self._drainers.items():
            if self._stopping.is_set():
                return
            try:
                outcome = drainer.drain(self._take, heartbeat=_HEARTBEAT_SECONDS)
            except DeliveryError as error:
                self._tell(journal, f"its records stay there, because they were not taken: {error}")
            except Exception:  # noqa: BLE001  # one journal must not keep the others waiting
                _log.exception("%s: %s cannot be drained", self._context.id, journal)
            else:
                # Somebody who reads the store may be draining it at this moment.
                self._tell(journal, outcome.skipped or "", logging.DEBUG)

    def _journals(self) -> list[Path]:
        """Return the journals that are this receiver's business, each once."""
        others = registered_journals() if self._config.registered else []
        return [journal for journal in dict.fromkeys([*find_journals(self._store), *others]) if self._is_mine(journal)]

    def _is_mine(self, journal: Path) -> bool:
        try:
            goal = destination(journal)
            if goal.store is not None:
                return self._config.other_stores or goal.store.resolve() == self._store.resolve()
            return self._config.follow or is_dead(journal)
        except (MalformedError, OSError) as error:
            # Another drainer may have removed it since it was found; one that cannot be read keeps no other waiting.
            self._tell(journal, str(error) if os.path.lexists(journal) else "")
            return False

    def _take(self, batch: Batch) -> None:
        if self._stopping.is_set():
            raise RetryableError("the collector is stopping")
        # Metrics are let go where no pipeline takes them; of the others `start` has seen to it.
        if batch.signal is not Signal.METRICS or batch.signal in self._context.next:
            self._context.next[batch.signal].consume(batch)

    def _tell(self, journal: Path, text: str, level: int = logging.WARNING) -> None:
        """Log what is the matter with a journal, once for as long as it stays the same."""
        if text and self._told.get(journal) != text:
            _log.log(level, "%s: %s: %s", self._context.id, journal, text)
        self._told[journal] = text
