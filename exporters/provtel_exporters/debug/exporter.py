"""The ``debug`` exporter."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

from provtel_model.errors import ConfigError

from provtel_exporters.debug.text import details, items, summary

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context

    from provtel_exporters.debug.config import DebugConfig

_log = logging.getLogger("provtel_exporters.debug")


class DebugExporter:
    """Writes batches to the log and drops them.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: DebugConfig, context: Context) -> None:
        self._config = config
        self._verbosity = config.verbosity.lower()
        self._id = context.id
        self._files: list[TextIO] = []
        self._lock = threading.Lock()
        self._second = 0
        self._seen = 0

    def start(self) -> None:
        """Open what is written to, where that is not the collector's log.

        Raises:
            ConfigError: A file cannot be written.
        """
        if not self._config.use_internal_logger:
            self._files = [self._open(path) for path in dict.fromkeys(self._config.output_paths or ("stdout",))]

    def shutdown(self) -> None:
        """Close what was opened."""
        files, self._files = self._files, []
        for file in files:
            if file not in {sys.stdout, sys.stderr}:
                file.close()

    def consume(self, batch: Batch) -> None:
        """Write one entry about a batch; it is dropped, which counts as taken."""
        if not self._wanted():
            return
        lines = [summary(batch)]
        if self._verbosity == "normal":
            lines += items(batch)
        elif self._verbosity == "detailed":
            lines += details(batch)
        self._write(f"{self._id}: " + "\n".join(lines))

    def _wanted(self) -> bool:
        """Return whether a batch is written, or one too many in this second."""
        second = int(time.monotonic())
        with self._lock:
            self._seen = self._seen + 1 if second == self._second else 1
            self._second = second
            beyond = self._seen - self._config.sampling_initial
        thereafter = self._config.sampling_thereafter
        return beyond <= 0 or (thereafter > 0 and beyond % thereafter == 0)

    def _write(self, text: str) -> None:
        if self._config.use_internal_logger:
            _log.info("%s", text)
            return
        with self._lock:
            for file in self._files:
                file.write(text + "\n")
                file.flush()

    def _open(self, path: str) -> TextIO:
        if path in {"stdout", "stderr"}:
            return sys.stdout if path == "stdout" else sys.stderr
        try:
            return open(path, "a", encoding="utf-8")  # noqa: PTH123  # closed at the shutdown
        except OSError as error:
            message = f"{path}: cannot be written: {error.strerror}"
            raise ConfigError(message, f"exporters::{self._id}::output_paths") from None
