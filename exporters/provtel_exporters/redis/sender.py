"""Entries to what the server has for sure, and what it says told apart."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import RetryableError
from redis.exceptions import RedisError, ResponseError

from provtel_exporters.redis.durable import Durable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provtel_exporters.redis.config import RedisConfig
    from provtel_exporters.redis.entries import Entry

_log = logging.getLogger(__name__)

# What a value needs beside the payload of an entry.
_OVERHEAD: Final = 4096


class Sender:
    """Writes entries; may be used from several threads.

    Args:
        client: The client of Redis.
        config: What the user wrote.
        id_: Id of the exporter, for its log.
        timeout: Seconds that writing may take.
    """

    def __init__(self, client: Any, config: RedisConfig, id_: str, timeout: float) -> None:
        self._client = client
        self._config = config
        self._id = id_
        self._durable = Durable(config.durability, timeout)
        self._largest: int | None = None
        self._newest: dict[str, int] = {}

    def close(self) -> None:
        """Disconnect; safe to call twice."""
        with suppress(RedisError, OSError):
            self._client.close()

    def limit(self) -> int:
        """Return the most bytes of a request in an entry: what is configured, or less where the server takes less.

        Raises:
            RetryableError: The server cannot be asked.
        """
        wanted = self._config.producer.max_message_bytes
        if self._largest is None:
            self._largest = self._ask()
        return min(wanted, self._largest)

    def send(self, entries: Iterable[Entry]) -> None:
        """Write entries; return when the server has them, as safely as it was asked to.

        Raises:
            RetryableError: It may not have all of them.
        """
        try:
            for entry in entries:
                self._send(entry)
        except (RedisError, OSError) as error:
            self._durable.doubt()
            raise self._failure(error) from error

    def _send(self, entry: Entry) -> None:
        self._durable.check(self._client)
        # In one pipeline, because the server waits only for what came by the same connection.
        with self._client.pipeline(transaction=False) as line:
            line.execute_command("XADD", entry.stream, *self._length(), "*", *entry.fields)
            oldest = self._oldest(entry.stream)
            if oldest is not None:
                line.execute_command("XTRIM", entry.stream, "MINID", "~", oldest)
            self._durable.ask(line)
            # redis-py would put the command into the text of an error, with all that is in the entry.
            answers: list[Any] = line.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        self._newest[entry.stream] = int(answers[0].partition(b"-")[0])
        self._durable.judge(answers)

    def _length(self) -> tuple[str | int, ...]:
        most = self._config.trim.max_length
        return ("MAXLEN", "~", most) if most else ()

    def _oldest(self, stream: str) -> int | None:
        """Return from which millisecond on entries stay, by the server's clock; None where all do."""
        age = int(self._config.trim.max_age * 1000)
        newest = self._newest.get(stream)
        return max(0, newest - age) if age and newest is not None else None

    def _ask(self) -> int:
        """Return the most bytes that the server takes as one value; say where it keeps nothing."""
        try:
            self._client.execute_command("PING")
            largest = int(self._setting("proto-max-bulk-len") or 0) - _OVERHEAD
            self._warn()
        except (RedisError, OSError) as error:
            raise self._failure(error) from error
        return largest if largest > 0 else self._config.producer.max_message_bytes

    def _warn(self) -> None:
        where = self._config.endpoint
        if self._setting("appendonly") == "no":
            _log.warning(
                "%s: the server at %s has no append-only file: what it acknowledges may be lost when it ends. Set "
                "appendonly yes and appendfsync always there",
                self._id,
                where,
            )
        policy = self._setting("maxmemory-policy")
        if policy.startswith("allkeys"):
            _log.warning(
                "%s: the server at %s removes streams when its memory is full (maxmemory-policy %s). Set noeviction "
                "there, so that it refuses entries instead",
                self._id,
                where,
                policy,
            )

    def _setting(self, name: str) -> str:
        """Return a setting of the server; nothing where the user may not read it."""
        try:
            answer: list[bytes] = self._client.execute_command("CONFIG", "GET", name)
        except ResponseError:
            return ""
        return answer[1].decode() if answer else ""

    def _failure(self, error: Exception) -> RetryableError:
        """Return what to raise for what a server says, or for its silence.

        All of it passes, or can be mended there: a full memory, a replica that was the master, a wrong password. What
        no later attempt would change, an item that is too large, never gets this far.
        """
        return RetryableError(f"Redis at {self._config.endpoint}: {error}")
