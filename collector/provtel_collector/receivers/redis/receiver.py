"""The ``redis`` receiver: a member of a consumer group for as long as the collector runs."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import ConfigError
from provtel_model.redis import client, need_package

if TYPE_CHECKING:
    from provtel_model.components import Context, Signal

    from provtel_collector.receivers.redis.config import RedisConfig
    from provtel_collector.receivers.redis.stream import Stream

_log = logging.getLogger(__name__)

# For each signal, so that one whose pipelines are stuck keeps no thread from the others.
_WORKERS: Final = 8
_STOP_SECONDS: Final = 10.0
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 2.0
_TIMEOUT: Final = 5.0


class RedisReceiver:
    """Takes entries from streams, and acknowledges them only after the pipelines took them.

    Several entries of a stream are given on at the same time, in no order; signals do not wait for each other. What the
    pipelines refuse for now is tried again; what they refuse for good, and what cannot be read, becomes a dead letter.
    What a member had in hand that died is taken over by the others. Without a server it waits for one.

    Args:
        config: What the user wrote.
        context: Where it stands; it reads the streams of the signals that have a way on.

    Raises:
        ConfigError: Two signals come from one stream.
    """

    def __init__(self, config: RedisConfig, context: Context) -> None:
        self._config = config
        self._context = context
        named = [stream for signal in context.next for stream in config.source(signal).streams]
        if len(set(named)) < len(named):
            raise ConfigError("a stream cannot hold two signals; give each signal streams of its own")
        self._stopping = threading.Event()
        self._client: Any = None
        self._workers: dict[Signal, ThreadPoolExecutor] = {}
        self._streams: list[Stream] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to join the group.

        Raises:
            UserError: A package or a file that it needs is missing.
        """
        need_package(f"the receiver {self._context.id}")
        try:
            self._client = client(self._config, _TIMEOUT)
        except ConfigError as error:
            raise ConfigError(str(error), f"receivers::{self._context.id}") from error
        name = f"provtel-{self._context.id}"
        for signal in self._context.next:
            self._workers[signal] = ThreadPoolExecutor(_WORKERS, thread_name_prefix=f"{name}-{signal}")
        self._streams = self._made(self._client)
        for stream in self._streams:
            thread = f"{name}-{stream.source.stream}"
            self._threads.append(threading.Thread(target=self._run, args=(stream,), name=thread, daemon=True))
        for reading in self._threads:
            reading.start()

    def shutdown(self) -> None:
        """Finish the entries in hand within some seconds, acknowledge them, and leave the group."""
        self._stopping.set()
        for stream in self._streams:
            stream.stop()
        for reading in self._threads:
            reading.join()
        deadline = time.monotonic() + _STOP_SECONDS
        for stream in self._streams:
            stream.leave(deadline)
        for workers in self._workers.values():
            workers.shutdown(wait=False)
        if self._client is not None:
            with suppress(Exception):  # it is of no use any more, whatever it says
                self._client.close()
        self._streams, self._threads = [], []

    def _made(self, connection: Any) -> list[Stream]:
        from provtel_collector.receivers.redis.entry import Source
        from provtel_collector.receivers.redis.group import Group
        from provtel_collector.receivers.redis.stream import Stream

        config = self._config
        member = config.group_instance_id or f"{platform.node() or 'host'}-{os.getpid()}-{os.urandom(4).hex()}"
        return [
            Stream(
                Source(name, signal, config.source(signal).encoding),
                Group(connection, name, config.group_id, member),
                config,
                self._context,
                self._workers[signal],
            )
            for signal in self._context.next
            for name in config.source(signal).streams
        ]

    def _run(self, stream: Stream) -> None:
        from redis.exceptions import RedisError

        told = ""
        wait = _FIRST_WAIT
        while not self._stopping.is_set():
            begun = time.monotonic()
            try:
                stream.run()
            except (RedisError, OSError) as error:
                if str(error) != told:
                    told = str(error)
                    where = f"{stream.source.stream} at {self._config.endpoint}"
                    _log.warning("%s: nothing can be read from %s for now: %s", self._context.id, where, told)
            except Exception:  # noqa: BLE001  # a collector goes on
                _log.exception("%s: reading failed in a way that it should not", self._context.id)
            wait = _FIRST_WAIT if time.monotonic() - begun > _LONGEST_WAIT else min(wait * 2, _LONGEST_WAIT)
            self._stopping.wait(wait)
