"""Group commit: all who wait are served by one transaction and its fsync."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import lmdb
from provtel_model.errors import DeliveryError, PermanentError, RetryableError, StoreError

from provtel_exporters.lmdb.session import Session

if TYPE_CHECKING:
    from provtel_exporters.lmdb.environment import Environment
    from provtel_exporters.lmdb.files import Transaction

T = TypeVar("T")


@dataclass(slots=True)
class Order(Generic[T]):
    """What one caller wants done in a transaction, and what became of it.

    Args:
        work: Does it, and may be run more than once; what it returned last counts.
    """

    work: Callable[[Session], T]
    result: T | None = None
    done: bool = False
    failure: DeliveryError | None = None


@dataclass(slots=True)
class Line:
    """The callers who wait; whoever comes first serves all."""

    process: int = field(default_factory=os.getpid)
    waiting: deque[Order[object]] = field(default_factory=deque)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, order: Order[object], environment: Environment) -> None:
        """Return when an order is done: by the one before, or with all others that wait."""
        self.waiting.append(order)
        with self.turn:
            if order.done:
                return
            orders = [self.waiting.popleft() for _ in range(len(self.waiting))]
            try:
                write(orders, environment)
            except BaseException:  # an interrupt of this thread; the others' orders still stand
                self.waiting.extend(other for other in orders if other is not order and not other.done)
                raise


def write(orders: list[Order[object]], environment: Environment) -> None:
    """Write orders in one transaction; where it fails for another reason than the store's, each in its own."""
    results: list[object] = []

    def work(transaction: Transaction) -> Session:
        session = Session(transaction)
        results[:] = [order.work(session) for order in orders]
        session.finish()
        return session

    try:
        environment.write(work).parts.commit()
    except (lmdb.Error, OSError, StoreError) as error:
        _fail(orders, RetryableError(f"the store {environment.folder} cannot be written: {error}"))
    except Exception as error:  # noqa: BLE001  # told to the one caller whose records did it
        if len(orders) == 1:
            failure = PermanentError(f"the records cannot be stored: {error!r}")
            failure.__cause__ = error
            _fail(orders, failure)
        else:
            for order in orders:
                write([order], environment)
    else:
        for order, result in zip(orders, results, strict=True):
            order.result = result
    for order in orders:
        order.done = True


def _fail(orders: list[Order[object]], failure: DeliveryError) -> None:
    for order in orders:
        order.failure = failure
