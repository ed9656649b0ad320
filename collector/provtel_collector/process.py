"""A collector as a process: it runs until it is told to stop, and then finishes what it took."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import socket
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from provtel_model.errors import UserError

from provtel_collector.logs import set_up_logs
from provtel_collector.service import Service
from provtel_collector.service_manager import tell_ready, tell_reloading, tell_stopping
from provtel_collector.spare_memory import give_back_memory, share_arenas
from provtel_collector.telemetry import identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from provtel_collector_config.configuration import Configuration

_log = logging.getLogger(__name__)

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
# Less than the 30 s that Kubernetes grants, and than systemd's 90.
STOP_SECONDS: Final = 25


def allow_descriptors() -> None:
    """Open as many files and connections as the system lets us; the usual 1024 are for programs that use select."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(
    configuration: Configuration,
    stop_seconds: float = STOP_SECONDS,
    reload: Callable[[], Configuration] | None = None,
) -> None:
    """Run a collector until SIGTERM or SIGINT, then stop it in good order.

    A second signal ends the process at once with exit code 1: what was acknowledged is durable. At SIGHUP it takes the
    configuration anew; where that cannot be used, it says why and goes on with the one that it has.

    Args:
        configuration: What it is made of.
        stop_seconds: How long stopping may take before the process ends in the same way.
        reload: Returns the configuration as it is now; None where there is no way to have it anew.

    Raises:
        UserError: It cannot run as it is configured.
    """
    allow_descriptors()
    share_arenas()
    signals = _Signals(stop_seconds)
    running = _Running(configuration)
    running.start()
    tell_ready()
    while (number := signals.wait()) not in _STOP_SIGNALS:
        if reload is None:
            _log.warning("%s: this collector cannot read its configuration again", signal.Signals(number).name)
            continue
        tell_reloading()
        running.reload(reload)
        tell_ready()
    tell_stopping()
    _log.info("stopping after %s: taking no more data, finishing what was taken", signal.Signals(number).name)
    running.service.shutdown()
    _log.info("stopped: %s", running.service.counters)


class _Running:
    """The collector that runs, and the one that comes after it.

    Args:
        configuration: What it is made of.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self._use_logs(configuration)
        self.service = Service(configuration)

    def start(self) -> None:
        """Start it."""
        self.service.start()
        give_back_memory()

    def reload(self, load: Callable[[], Configuration]) -> None:
        """Go on with another configuration, or with the one that runs where the other cannot be used.

        The other is read and built while this one takes data; only then this one finishes what it took and stops, as
        both want the same ports and queues. What it has in queues on disk, the other finds there.

        Raises:
            UserError: Neither can be started any more.
        """
        try:
            configuration = load()
            service = Service(configuration, self.service.counters)
        except UserError as error:
            _log.error("the configuration stays as it is: %s", error)
            return
        self.service.shutdown()
        before, self.configuration = self.configuration, configuration
        try:
            self._use_logs(configuration)
            service.start()
        except UserError as error:
            _log.error("going back to the configuration before: %s", error)
            self.configuration = before
            self._use_logs(before)
            service = Service(before, self.service.counters)
            service.start()
        else:
            _log.info("running with the configuration as it is now")
        self.service = service

    def _use_logs(self, configuration: Configuration) -> None:
        set_up_logs(configuration.telemetry.logs, identity(configuration.telemetry))
        for warning in configuration.warnings:
            _log.warning("%s", warning)


class _Signals:
    """Waits for signals; the second that asks to stop ends the process.

    Args:
        stop_seconds: How long after the first that asks to stop the process ends in any case.
    """

    def __init__(self, stop_seconds: float) -> None:
        self._stop_seconds = stop_seconds
        # Of the queues and events, this one may be used by a handler that interrupts a call of its own.
        self._received: SimpleQueue[int] = SimpleQueue()
        self._stopping = False
        # A signal that comes in the moment before a wait begins does not end the wait; what it writes here does.
        self._awake, self._bell = socket.socketpair()
        self._bell.setblocking(False)  # noqa: FBT003  # the name says it
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        for number in (*_STOP_SIGNALS, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def wait(self) -> int:
        """Return the next signal when it comes."""
        while True:
            with contextlib.suppress(Empty):
                return self._received.get_nowait()
            self._awake.recv(64)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number in _STOP_SIGNALS:
            if self._stopping:
                os._exit(1)
            self._stopping = True
            # From now on, as what is going on at the moment, a reload for example, may hang too.
            _end_after(self._stop_seconds)
        self._received.put(number)


def _end_after(seconds: float) -> None:
    def end() -> None:
        _log.error("did not stop within %s s; what was acknowledged is kept, what was not will be sent again", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
