"""One stream in the hands of a receiver: reads entries, gives them on, acknowledges them, looks after dead members'."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from provtel_model.components import Batch, Consumer, Context
from provtel_model.errors import DeliveryError, MalformedError, PermanentError, RetryableError
from redis.exceptions import NoPermissionError, RedisError

from provtel_collector.counters import ITEMS
from provtel_collector.delivery.dead_letters import DeadLetters, default_folder
from provtel_collector.delivery.defects import defect
from provtel_collector.delivery.retry import Retry, StoppingError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from provtel_collector.receivers.redis.config import RedisConfig
    from provtel_collector.receivers.redis.entry import Entry, Source
    from provtel_collector.receivers.redis.group import Group

_log = logging.getLogger(__name__)

_LONGEST_WAIT_MS: Final = 500
_ROOM: Final = 16
"""The most entries in hand: few enough that a crash leaves little to others, enough for every worker."""
_FORGET_AFTER: Final = 60
"""So many session timeouts without a sign of life, and a member with nothing in hand is forgotten."""
_MALFORMED: Final = "redis_receiver_unmarshal_failed_"
_DEAD_LETTERED: Final = "receiver_dead_lettered_"


class Stream:
    """Gives the entries of a stream to the pipelines, several at a time, and acknowledges what they took.

    One thread calls `run`; workers give entries on. An entry is in hand from when it was read until Redis knows that it
    is done; for as long, `run` tells Redis so.

    Args:
        source: The stream.
        group: What is said to Redis.
        config: What the user wrote.
        context: Where the receiver stands.
        workers: Where entries are given on.
    """

    def __init__(self, source: Source, group: Group, config: RedisConfig, context: Context, workers: Executor) -> None:
        self.source = source
        self._group = group
        self._config = config
        self._context = context
        self._workers = workers
        self._stopping = threading.Event()
        self._letters = DeadLetters(default_folder(), f"receivers::{context.id}")
        self._way = Retry(_Guarded(context.next[source.signal]), config.error_backoff, self._stopping)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._in_hand: set[str] = set()
        self._done: set[str] = set()
        self._rescuing = False
        self._lag = 0.0
        self._begin = config.begin
        self._wait_ms = max(1, min(_LONGEST_WAIT_MS, self._milliseconds(config.heartbeat_interval)))
        self._next_sign = 0.0
        self._may_trim = config.trim.acknowledged
        context.observe("redis_receiver_lag", lambda: self._lag, source.attributes)

    def stop(self) -> None:
        """Read no more; what is being tried again is left to others, or to the next start."""
        self._stopping.set()

    def run(self) -> None:
        """Read, until told to stop.

        Raises:
            RedisError: Something that beginning anew may mend; what is in hand stays there.
        """
        self._group.ensure(self._begin)
        # Where the group is gone later, the stream was emptied, or somebody wants all of it again.
        self._begin = "0"
        while not self._stopping.is_set():
            self._turn()

    def _turn(self) -> None:
        if time.monotonic() >= self._next_sign:
            self._give_sign()
        room = self._room()
        if not room:
            with self._changed:
                self._changed.wait(self._wait_ms / 1000)
            return
        for entry in self._group.read(room, self._wait_ms):
            if self._take_up(entry):
                self._workers.submit(self._work, entry)

    def _room(self) -> int:
        with self._lock:
            return _ROOM - len(self._in_hand)

    def _take_up(self, entry: Entry) -> bool:
        """Have an entry in hand from now on; say whether it was not there before."""
        with self._lock:
            known = entry.id in self._in_hand
            self._in_hand.add(entry.id)
        return not known

    def _give_sign(self) -> None:
        """Say what is in hand, and look after what others have left."""
        self._next_sign = time.monotonic() + self._config.heartbeat_interval
        with self._lock:
            in_hand, done = sorted(self._in_hand), sorted(self._done)
            rescue, self._rescuing = not self._rescuing, True
        self._group.keep(in_hand)
        for id_ in done:
            self._acknowledge(id_)
        if rescue:
            self._workers.submit(self._rescue)
        self._lag = self._group.lag()
        self._trim()
        self._group.forget(self._milliseconds(self._config.session_timeout * _FORGET_AFTER))

    def _trim(self) -> None:
        if not self._may_trim:
            return
        try:
            self._group.trim(self._milliseconds(self._config.trim.retention))
        except NoPermissionError as error:
            self._may_trim = False
            _log.warning("%s: %s is not trimmed: %s", self._context.id, self.source.stream, error)

    @staticmethod
    def _milliseconds(seconds: float) -> int:
        return int(seconds * 1000)

    def _rescue(self) -> None:
        """Take what dead members had in hand, one after the other: should one end this process, only it is suspect."""
        try:
            while not self._stopping.is_set():
                entry, gone = self._group.claim(self._milliseconds(self._config.session_timeout))
                self._tell_gone(gone)
                if entry is None:
                    return
                if self._take_up(entry):
                    self._work(entry, self._group.deliveries(entry.id))
        except (RedisError, OSError) as error:
            _log.info("%s: what others left in %s waits: %s", self._context.id, self.source.stream, error)
        finally:
            with self._lock:
                self._rescuing = False

    def _tell_gone(self, gone: list[str]) -> None:
        if gone:
            self._context.report("redis_receiver_entries_lost", len(gone), self.source.attributes)
            _log.warning(
                "%s: %d entries of %s were removed before anybody had acknowledged them, %s among them",
                self._context.id,
                len(gone),
                self.source.stream,
                gone[0],
            )

    def _work(self, entry: Entry, deliveries: int = 1) -> None:
        """Give an entry on until it is taken or put aside, and acknowledge it."""
        taken = False
        try:
            taken = self._take(entry, deliveries)
        except StoppingError:
            # Nobody gives signs for it from now on, and another member takes it.
            pass
        except Exception:  # noqa: BLE001  # a worker's mistake must not keep an entry in hand for ever
            _log.exception("%s: the entry %s of %s is tried again", self._context.id, entry.id, self.source.stream)
        with self._changed:
            if taken:
                self._done.add(entry.id)
            else:
                self._in_hand.discard(entry.id)
            self._changed.notify_all()
        if taken:
            try:
                self._acknowledge(entry.id)
            except (RedisError, OSError) as error:
                _log.info("%s: %s is acknowledged later: %s", self._context.id, entry.id, error)

    def _acknowledge(self, id_: str) -> None:
        self._group.acknowledge(id_)
        with self._changed:
            self._done.discard(id_)
            self._in_hand.discard(id_)
            self._changed.notify_all()

    def _take(self, entry: Entry, deliveries: int) -> bool:
        """Give an entry on, or put it aside.

        Raises:
            StoppingError: Neither was done, and the receiver stops.
        """
        raw = Batch(self.source.signal, entry.raw, 1, entry.metadata(self.source))
        most = self._config.max_deliveries
        if most and deliveries > most:
            return self._put_aside(entry, raw, f"it was given to members {deliveries} times, and none was done with it")
        try:
            batch = entry.batch(self.source)
        except MalformedError as error:
            self._context.report(_MALFORMED + ITEMS[self.source.signal], 1, self.source.attributes)
            return self._put_aside(entry, raw, f"it cannot be read: {error}")
        self._context.report("redis_receiver_entries", 1, self.source.attributes)
        if not batch.items:
            return True
        try:
            self._way.consume(batch)
        except StoppingError:
            raise
        except PermanentError as error:
            return self._put_aside(entry, batch, f"it is refused for good: {error}")
        except RetryableError as error:
            return self._put_aside(entry, batch, f"it was refused for too long: {error}")
        return True

    def _put_aside(self, entry: Entry, batch: Batch, why: str) -> bool:
        """Write a dead letter, as soon as that can be done."""
        Retry(_Aside(self._letters, why), self._config.error_backoff, self._stopping).consume(batch)
        self._context.report(_DEAD_LETTERED + ITEMS[batch.signal], batch.items, {})
        _log.warning(
            "%s: the entry %s of %s is skipped, and put into %s: %s",
            self._context.id,
            entry.id,
            self.source.stream,
            self._letters.file,
            why,
        )
        return True

    def leave(self, deadline: float) -> None:
        """Wait for the entries that workers have in their hands, and let the group forget this member."""
        with self._changed:
            self._changed.wait_for(lambda: not self._in_hand, max(0.0, deadline - time.monotonic()))
            done = sorted(self._done)
        try:
            for id_ in done:
                self._acknowledge(id_)
            self._group.leave()
        except (RedisError, OSError) as error:
            _log.info("%s: cannot leave the group: %s", self._context.id, error)


class _Guarded:
    """Makes refusals of mistakes in code, so that they are told and tried again."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def consume(self, batch: Batch) -> None:
        """Give a batch on."""
        try:
            self._consumer.consume(batch)
        except DeliveryError:
            raise
        except Exception as error:
            raise defect(self._consumer, error) from error


class _Aside:
    """Writes dead letters with a reason."""

    def __init__(self, letters: DeadLetters, why: str) -> None:
        self._letters = letters
        self._why = why

    def consume(self, batch: Batch) -> None:
        """Write one."""
        self._letters.add(batch, self._why)
