"""A collector as a process: it runs until it is told to stop, and then finishes what it took."""

from __future__ import annotations

import logging
import os
import signal
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from provtel_collector.logs import set_up_logs
from provtel_collector.service import Service

if TYPE_CHECKING:
    from types import FrameType

    from provtel_collector_config.configuration import Configuration

_log = logging.getLogger(__name__)

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
# Less than the 30 s that Kubernetes grants, and than systemd's 90.
STOP_SECONDS: Final = 25


def run(configuration: Configuration, stop_seconds: float = STOP_SECONDS) -> None:
    """Run a collector until SIGTERM or SIGINT, then stop it in good order.

    A second signal ends the process at once with exit code 1: what was acknowledged is durable.

    Args:
        configuration: What it is made of.
        stop_seconds: How long stopping may take before the process ends in the same way.

    Raises:
        UserError: It cannot run as it is configured.
    """
    set_up_logs(configuration.telemetry.logs)
    for warning in configuration.warnings:
        _log.warning("%s", warning)
    stop = _StopSignal()
    service = Service(configuration)
    service.start()
    _log.info("stopping after %s: taking no more data, finishing what was taken", stop.wait())
    _end_after(stop_seconds)
    service.shutdown()
    _log.info("stopped: %s", service.counters)


class _StopSignal:
    """Waits for the first signal to stop; the second ends the process."""

    def __init__(self) -> None:
        # Of the queues and events, this one may be used by a handler that interrupts a call of its own.
        self._received: SimpleQueue[int] = SimpleQueue()
        self._stopping = False
        for number in _STOP_SIGNALS:
            signal.signal(number, self._on_signal)

    def wait(self) -> str:
        """Return the name of the signal when it comes."""
        return signal.Signals(self._received.get()).name

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping:
            os._exit(1)
        self._stopping = True
        self._received.put(number)


def _end_after(seconds: float) -> None:
    def end() -> None:
        _log.error("did not stop within %s s; what was acknowledged is kept, what was not will be sent again", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
