"""What can happen to a server, to a collector beside it, and to the network between them."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Protocol

from tests.end_to_end.network import Network


class Server(Protocol):
    """A server that can be killed and started again."""

    process: subprocess.Popen[bytes] | None

    def kill(self) -> None:
        """Kill it."""

    def start(self) -> None:
        """Start it again, and return when it answers."""


class Faults:
    """What can happen, each over when it returns.

    Args:
        server: The server.
        network: What is between it and everybody.
        replace_collector: Kills a collector, and starts another.
        chance: Says what happens next, and for how long.
    """

    def __init__(
        self, server: Server, network: Network, replace_collector: Callable[[], None], chance: random.Random
    ) -> None:
        self._server = server
        self._network = network
        self._chance = chance
        self._seconds = 1.0
        self.collector_dies = replace_collector

    def last_for_a_while(self) -> None:
        """Choose how long the next one lasts."""
        self._seconds = self._chance.uniform(0.2, 3)

    def server_dies(self) -> None:
        """Kill the server, and start it again."""
        self._server.kill()
        time.sleep(self._seconds / 4)
        self._server.start()

    def server_freezes(self) -> None:
        """Let the server be silent for longer than anybody waits."""
        assert self._server.process is not None
        self._server.process.send_signal(signal.SIGSTOP)
        time.sleep(self._seconds)
        self._server.process.send_signal(signal.SIGCONT)

    def network_breaks(self) -> None:
        """Cut every connection, and let none begin for a while."""
        self._network.cut()
        time.sleep(self._seconds)
        self._network.mend()

    def network_is_silent(self) -> None:
        """Pass nothing on for a while, and then all of it."""
        self._network.silence()
        time.sleep(self._seconds)
        self._network.mend()

    def network_is_slow(self) -> None:
        """Pass everything on late for a while."""
        self._network.delay = 0.2
        time.sleep(self._seconds)
        self._network.mend()
