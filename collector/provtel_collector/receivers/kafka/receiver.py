"""The ``kafka`` receiver: a member of a consumer group for as long as the collector runs."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import ConfigError
from provtel_model.kafka import connection, need_package

from provtel_collector.receivers.kafka.subscription import Subscription

if TYPE_CHECKING:
    from provtel_model.components import Context, Signal

    from provtel_collector.receivers.kafka.config import KafkaConfig

_log = logging.getLogger(__name__)

# For each signal, so that one whose pipelines are stuck keeps no thread from the others.
_WORKERS: Final = 8
_STOP_SECONDS: Final = 10.0
_REJOIN_SECONDS: Final = 1.0
_CONNECT_MS: Final = 5000
_NEW_TOPICS_MS: Final = 10_000


class KafkaReceiver:
    """Takes records from topics, and commits their offsets only after the pipelines took them.

    Records of a partition are given on in their order; partitions, and signals, do not wait for each other. What the
    pipelines refuse for now is tried again, and its partition waits; what they refuse for good, and what cannot be
    read, becomes a dead letter. Without a broker it waits for one.

    Args:
        config: What the user wrote.
        context: Where it stands; it reads the topics of the signals that have a way on.
    """

    def __init__(self, config: KafkaConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._subscription = Subscription({signal: config.source(signal) for signal in context.next})
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"provtel-{context.id}", daemon=True)
        self._workers: dict[Signal, ThreadPoolExecutor] = {}
        self._arguments: dict[str, Any] = {}

    def start(self) -> None:
        """Begin to join the group.

        Raises:
            UserError: A package, a file or an extension that it needs is missing.
        """
        need_package(f"the receiver {self._context.id}")
        if not self._config.message_marking.after:
            _log.warning("%s: message_marking::after is always true: nothing is marked before it was taken", self._id)
        self._arguments = self._consumer_arguments()
        name = f"provtel-{self._context.id}"
        self._workers = {
            signal: ThreadPoolExecutor(_WORKERS, thread_name_prefix=f"{name}-{signal}") for signal in self._context.next
        }
        self._thread.start()

    def shutdown(self) -> None:
        """Finish the records in hand within some seconds, commit, and leave the group."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for workers in self._workers.values():
            workers.shutdown(wait=False)

    @property
    def _id(self) -> str:
        return self._context.id

    def _run(self) -> None:
        from kafka.errors import KafkaError

        from provtel_collector.receivers.kafka.consumption import Consumption

        told = ""
        while not self._stopping.is_set():
            try:
                consumption = Consumption(self._config, self._context, self._subscription, self._workers)
                consumption.run(self._arguments, self._stopping, _STOP_SECONDS)
            except (KafkaError, OSError) as error:
                if str(error) != told:
                    told = str(error)
                    _log.warning("%s: nothing can be read for now, and is tried again: %s", self._id, told)
            except Exception:  # noqa: BLE001  # a collector goes on
                _log.exception("%s: reading failed in a way that it should not", self._id)
            self._stopping.wait(_REJOIN_SECONDS)

    def _consumer_arguments(self) -> dict[str, Any]:
        """Return the arguments of kafka-python's consumer."""
        from provtel_collector.receivers.kafka.consumption import STRATEGIES

        config = self._config
        try:
            connecting = connection(config, self._context.extensions)
        except ConfigError as error:
            raise ConfigError(str(error), f"receivers::{self._id}") from error
        return {
            **connecting,
            # A topic that is made after the receiver has started is found that soon.
            "metadata_max_age_ms": min(connecting["metadata_max_age_ms"], _NEW_TOPICS_MS),
            "bootstrap_timeout_ms": _CONNECT_MS,
            "client_rack": config.rack_id,
            "group_id": config.group_id,
            "group_instance_id": config.group_instance_id or None,
            "auto_offset_reset": config.initial_offset,
            "enable_auto_commit": False,
            "session_timeout_ms": int(config.session_timeout * 1000),
            "heartbeat_interval_ms": int(config.heartbeat_interval * 1000),
            "fetch_min_bytes": config.min_fetch_size,
            "fetch_max_bytes": config.max_fetch_size,
            "fetch_max_wait_ms": int(config.max_fetch_wait * 1000),
            "max_partition_fetch_bytes": config.max_partition_fetch_size,
            "partition_assignment_strategy": [STRATEGIES[name] for name in config.strategies],
            # Topics are made by those who write; here a misspelled one would come to be.
            "allow_auto_create_topics": False,
        }
