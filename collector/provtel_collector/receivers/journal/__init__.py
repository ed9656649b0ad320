"""The ``journal`` receiver: brings in what processes wrote to their journals."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.receivers.journal.config import JournalConfig
from provtel_collector.receivers.journal.receiver import JournalReceiver

factory: Final = Factory("journal", JournalConfig, JournalReceiver)
