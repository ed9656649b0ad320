"""The ``redis`` exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel_model.errors import PermanentError, RetryableError
from provtel_model.redis import client, need_package

from provtel_exporters.redis.entries import entries

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context

    from provtel_exporters.redis.config import RedisConfig
    from provtel_exporters.redis.sender import Sender

# For a timeout of 0, which is none: a connection that hangs must end, after which the batch is sent again.
_NO_TIMEOUT: Final = 120.0


class RedisExporter:
    """Writes each batch as an entry of a stream, and returns when the server says that it has it.

    That is as durable as the server's ``appendfsync``, or as ``durability`` asks for. A request that is larger than an
    entry may be is cut into several of whole items; only a single item that is too large is refused for good.

    Args:
        config: What the user wrote.
        context: Its place in the collector.
    """

    def __init__(self, config: RedisConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._sender: Sender | None = None

    def start(self) -> None:
        """Check what can be checked without a server; connecting is left to the first batch.

        Raises:
            UserError: A package or a file that it needs is missing.
        """
        need_package(f"the exporter {self._context.id}")
        from provtel_exporters.redis.sender import Sender

        timeout = float(self._config.timeout) or _NO_TIMEOUT
        self._sender = Sender(client(self._config, timeout), self._config, self._context.id, timeout)

    def shutdown(self) -> None:
        """Disconnect."""
        if self._sender is not None:
            self._sender.close()

    def consume(self, batch: Batch) -> None:
        """Write a batch; return when the server has every entry of it.

        Raises:
            RetryableError: Some entry may not be there.
            PermanentError: It has an item that no entry holds; every other item was written.
        """
        if self._sender is None:
            raise RetryableError(f"the exporter {self._context.id} was not started")
        refused: list[str] = []
        self._sender.send(entries(self._config, batch, self._sender.limit(), refused))
        if refused:
            raise PermanentError("; ".join(refused))
