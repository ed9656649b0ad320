"""The ``batch`` processor."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from provtel_model.errors import DeliveryError, PermanentError, RetryableError
from provtel_model.otlp.pieces import merge, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_model.components import Batch, Context, Signal

    from provtel_collector.processors.batch.config import BatchConfig

    _Key = tuple[Signal, tuple[str | None, ...]]


class _Waiting:
    """A request whose sender waits.

    Args:
        batch: The request.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.answered = threading.Event()
        self.error: DeliveryError | None = None

    def answer(self, error: DeliveryError | None = None) -> None:
        """Let the sender go on."""
        self.error = error
        self.answered.set()


class BatchProcessor:
    """Gives on several requests as one, and returns from each when what it had was taken.

    A refusal for now reaches all whose data it was; after a refusal for good each request is given on alone, so that
    what is wrong with one does not harm the others.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: BatchConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._changed = threading.Condition()
        self._pending: dict[_Key, list[_Waiting]] = {}
        self._items = 0
        self._due: float | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._watch, name=f"provtel-{context.id}", daemon=True)

    def start(self) -> None:
        """Begin to watch the time."""
        self._thread.start()

    def ready(self) -> None:
        """Go on as before."""

    def not_ready(self) -> None:
        """Give on what waits, and from now on each request at once: receivers are about to wait for their answers."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def shutdown(self) -> None:
        """Give on what waits, and stop."""
        self.not_ready()
        if self._thread.is_alive():
            self._thread.join()
        self._send(self._take())

    def consume(self, batch: Batch) -> None:
        """Return when all of a batch was taken, together with others or alone.

        Raises:
            RetryableError: Not taken; the same batch may be taken later.
            PermanentError: Not taken and never will be.
        """
        waiting = _Waiting(batch)
        self._send(self._put(waiting))
        waiting.answered.wait()
        if waiting.error is not None:
            raise waiting.error

    def _put(self, waiting: _Waiting) -> list[list[_Waiting]]:
        """Let a request wait; return what is to be sent now because there is enough."""
        with self._changed:
            self._pending.setdefault(self._key(waiting.batch), []).append(waiting)
            self._items += waiting.batch.items
            at_once = not (self._config.timeout and self._config.send_batch_size) or self._stopping
            if at_once or self._items >= self._config.send_batch_size:
                self._context.report("processor_batch_batch_size_trigger_send", 1, {})
                return self._take()
            if self._due is None:
                self._due = time.monotonic() + self._config.timeout
                self._changed.notify_all()
            return []

    def _key(self, batch: Batch) -> _Key:
        """Return what a batch must have in common with those that it is joined with."""
        return batch.signal, tuple(batch.metadata.get(key.lower()) for key in self._config.metadata_keys)

    def _take(self) -> list[list[_Waiting]]:
        with self._changed:
            taken = list(self._pending.values())
            self._pending, self._items, self._due = {}, 0, None
        return taken

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and (self._due is None or self._due > time.monotonic()):
                    self._changed.wait(None if self._due is None else self._due - time.monotonic())
                taken = self._take()
                stopping = self._stopping
            if stopping:
                self._send(taken)
                return
            self._context.report("processor_batch_timeout_trigger_send", 1, {})
            # Not here: who gives on may wait for long, and the time goes on for others.
            threading.Thread(target=self._send, args=(taken,), name=self._thread.name, daemon=True).start()

    def _send(self, groups: Sequence[Sequence[_Waiting]]) -> None:
        for group in groups:
            try:
                self._send_group(group)
            except Exception as error:  # noqa: BLE001  # whoever waits must not wait for ever
                failure = RetryableError(f"{type(error).__name__}: {error}")
                for waiting in group:
                    if not waiting.answered.is_set():
                        waiting.answer(failure)

    def _send_group(self, group: Sequence[_Waiting]) -> None:
        errors: list[tuple[range, DeliveryError]] = []
        end = 0
        for piece in self._pieces(merge([waiting.batch for waiting in group])):
            items, end = range(end, end + piece.items), end + piece.items
            if error := self._give(piece):
                errors.append((items, error))
        end = 0
        for waiting in group:
            items, end = range(end, end + waiting.batch.items), end + waiting.batch.items
            mine = [error for refused, error in errors if _overlap(items, refused)]
            if len(group) > 1 and any(isinstance(error, PermanentError) for error in mine):
                waiting.answer(self._give(waiting.batch))
            else:
                waiting.answer(mine[0] if mine else None)

    def _pieces(self, batch: Batch) -> list[Batch]:
        most = self._config.send_batch_max_size
        return split(batch, most) if most else [batch]

    def _give(self, batch: Batch) -> DeliveryError | None:
        self._context.report("processor_batch_batch_send_size", batch.items, {})
        self._context.report("processor_batch_batch_send_size_bytes", len(batch.payload), {})
        try:
            self._context.next[batch.signal].consume(batch)
        except DeliveryError as error:
            return error
        return None


def _overlap(one: range, other: range) -> bool:
    """Say whether two ranges share a place; a range of none is where it begins."""
    return one.start < other.stop and other.start < max(one.stop, one.start + 1)
