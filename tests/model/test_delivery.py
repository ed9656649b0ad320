"""Settings of delivery: the OpenTelemetry Collector's defaults, but for two, and its words for what makes no sense."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from provtel_model.delivery import QueueBatch, QueuePartition, RetryOnFailure, SendingQueue
from provtel_model.settings import Duration


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RetryOnFailure(randomization_factor=1.5), "'randomization_factor' must be within [0, 1]"),
        (lambda: RetryOnFailure(multiplier=-1), "'multiplier' must be non-negative"),
        (
            lambda: RetryOnFailure(max_elapsed_time=Duration(2)),
            "'max_elapsed_time' must not be less than 'initial_interval'",
        ),
        (
            lambda: RetryOnFailure(max_elapsed_time=Duration(10)),
            "'max_elapsed_time' must not be less than 'max_interval'",
        ),
        (lambda: SendingQueue(num_consumers=0), "`num_consumers` must be positive"),
        (lambda: SendingQueue(queue_size=0), "`queue_size` must be positive"),
        (
            lambda: SendingQueue(storage="file_storage", wait_for_result=True),
            "`wait_for_result` is not supported with a persistent queue configured with `storage`",
        ),
        (
            lambda: SendingQueue(sizer="items", batch=QueueBatch()),
            "`min_size` must be less than or equal to `queue_size`",
        ),
        (
            lambda: QueueBatch(sizer="requests"),
            '`batch` supports only `items` or `bytes` sizer, found "requests"',
        ),
        (lambda: QueueBatch(flush_timeout=Duration(0)), "`flush_timeout` must be positive, found 0"),
        (lambda: QueueBatch(min_size=-1), "`min_size` must be non-negative, found -1"),
        (lambda: QueueBatch(max_size=-1), "`max_size` must be non-negative, found -1"),
        (lambda: QueueBatch(max_size=5), "`max_size` (5) must be greater or equal to `min_size` (8192)"),
        (
            lambda: QueuePartition(("Tenant", "tenant")),
            'duplicate entry in metadata_keys: "tenant" (case-insensitive)',
        ),
    ],
)
def test_what_makes_no_sense(make: Callable[[], object], said: str) -> None:
    """A setting that cannot be meant is refused."""
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        make()


def test_batches_count_what_the_queue_counts() -> None:
    """Where a batch's sizer is left open it is that of the queue, or items where the queue counts requests."""
    sizers = [
        SendingQueue(sizer=sizer, queue_size=10_000, batch=QueueBatch()).batch
        for sizer in ("requests", "items", "bytes")
    ]

    assert [one.sizer for one in sizers if one] == ["items", "items", "bytes"]


def test_nothing_is_given_up_by_default() -> None:
    """What is refused for now is sent again for ever."""
    assert not RetryOnFailure().max_elapsed_time
