"""The ``kafka`` exporter."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import PermanentError, RetryableError
from provtel_model.kafka import connection, need_package

from provtel_exporters.kafka.routing import parcels

if TYPE_CHECKING:
    from provtel_model.components import Batch, Context

    from provtel_exporters.kafka.config import KafkaConfig
    from provtel_exporters.kafka.sender import Sender

_REQUEST_BYTES: Final = 16 * 2**20
# For a timeout of 0, which is none: the producer needs one, after which the batch is sent again.
_NO_TIMEOUT: Final = 120.0


class KafkaExporter:
    """Sends each batch as a record, and returns when the brokers have it.

    A record that would be larger than ``producer::max_message_bytes``, or than the brokers take, is cut into several
    requests of whole items; only a single item that is too large is refused for good.

    Args:
        config: What the user wrote.
        context: Its place in the collector.
    """

    def __init__(self, config: KafkaConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._timeout = float(config.timeout) or _NO_TIMEOUT
        self._sender: Sender | None = None

    def start(self) -> None:
        """Check what can be checked without a broker; connecting is left to the first batch.

        Raises:
            UserError: A package, a file or an extension that it needs is missing.
        """
        need_package(f"the exporter {self._context.id}")
        from provtel_exporters.kafka.sender import Sender

        headers = [(header.name, header.value.reveal().encode()) for header in self._config.record_headers]
        self._sender = Sender(self._arguments(), self._timeout, self._config.producer.max_message_bytes, headers)

    def shutdown(self) -> None:
        """Send what waits, and disconnect."""
        if self._sender is not None:
            self._sender.close()

    def consume(self, batch: Batch) -> None:
        """Send a batch; return when the brokers have acknowledged every record of it.

        Raises:
            RetryableError: Some record was not acknowledged in time.
            PermanentError: It has an item that no broker takes; every other item was sent.
        """
        if self._sender is None:
            raise RetryableError(f"the exporter {self._context.id} was not started")
        refused = self._sender.deliver(parcels(self._config, batch), time.monotonic() + self._timeout)
        if refused:
            raise PermanentError("; ".join(refused))

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments of kafka-python's producer."""
        from provtel_exporters.kafka.partitioner import partitioner

        producer = self._config.producer
        acks = -1 if producer.required_acks == "all" else producer.required_acks
        linger = min(float(producer.linger), self._timeout / 2)
        return {
            **connection(self._config, self._context.extensions),
            "acks": acks,
            "enable_idempotence": acks == -1,
            "compression_type": None if producer.compression == "none" else producer.compression,
            # While one request to a partition is under way, what comes meanwhile shares the next.
            "batch_size": producer.max_message_bytes,
            "max_request_size": min(max(producer.max_message_bytes, _REQUEST_BYTES), producer.max_broker_write_bytes),
            "linger_ms": int(linger * 1000),
            "delivery_timeout_ms": int(self._timeout * 1000),
            "request_timeout_ms": int((self._timeout - linger) * 1000) - 1,
            "max_block_ms": int(self._timeout * 1000),
            "allow_auto_create_topics": producer.allow_auto_topic_creation,
            "partitioner": partitioner(self._config.record_partitioner),
        }
