"""What each metric means, and from which level on it is shown."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from provtel_collector.counters import ITEMS, PREFIX


class MetricLevel(enum.IntEnum):
    """How many metrics are shown."""

    NONE = 0
    BASIC = 1
    NORMAL = 2
    DETAILED = 3


class Description(NamedTuple):
    """What is said of a metric.

    Args:
        help: What it means.
        level: From which level on it is shown.
    """

    help: str
    level: MetricLevel = MetricLevel.BASIC


_UNKNOWN: Final = Description("A metric of a component.")
_OF_ITEMS: Final = {
    "receiver_accepted": "Number of {items} successfully pushed into the pipeline.",
    "receiver_refused": "Number of {items} that could not be pushed into the pipeline.",
    "receiver_failed": "Number of {items} that failed to be processed by the receiver due to internal errors.",
    "receiver_dead_lettered": "Number of {items}, or of records that hold none, that were put aside by the receiver.",
    "exporter_received": "Number of {items} that pipelines gave to the exporter and that are safe or delivered.",
    "exporter_sent": "Number of {items} successfully sent to destination.",
    "exporter_send_failed": "Number of {items} in failed attempts to send to destination.",
    "exporter_enqueue_failed": "Number of {items} failed to be added to the sending queue.",
    "exporter_dead_lettered": "Number of {items} refused for good and put aside.",
    "exporter_rejected": "Number of {items} that the destination rejected of what it took.",
    "processor_memory_limiter_accepted": "Number of {items} successfully pushed into the next component.",
    "processor_memory_limiter_refused": "Number of {items} that were rejected by the next component.",
    "processor_provenance_malformed": "Number of {items} with something wrong, by reason.",
    "processor_provenance_completed": "Number of {items} that were completed, by what was missing.",
    "connector_routing_dropped": "Number of {items} that no route took.",
    "kafka_receiver_unmarshal_failed": "Number of records that hold no {items} which can be read.",
    "redis_receiver_unmarshal_failed": "Number of entries that hold no {items} which can be read.",
}
_WORDS: Final = {"spans": "spans", "metric_points": "metric points", "log_records": "log records"}
_DESCRIPTIONS: Final[dict[str, Description]] = {
    **{
        f"{beginning}_{items}": Description(text.format(items=_WORDS[items]))
        for beginning, text in _OF_ITEMS.items()
        for items in ITEMS.values()
    },
    "exporter_queue_capacity": Description("Fixed capacity of the sending queue."),
    "exporter_queue_size": Description("Current size of the sending queue."),
    "exporter_queue_items": Description("Number of items in the sending queue, those being sent included."),
    "exporter_queue_restored_items": Description("Number of items that an earlier process left in the queue."),
    "exporter_stored_records": Description(
        "Number of records, data points and log records that a store took: new ones, or better ones."
    ),
    "exporter_duplicate_records": Description("Number of those that a store had already, or had better."),
    "exporter_in_flight_requests": Description("Number of export requests currently in flight, retries included."),
    "exporter_queue_batch_send_size": Description("Number of units in the batch.", MetricLevel.DETAILED),
    "exporter_queue_batch_send_size_bytes": Description(
        "Number of bytes in the batch that was sent.", MetricLevel.DETAILED
    ),
    "processor_incoming_items": Description("Number of items passed to the processor."),
    "processor_outgoing_items": Description("Number of items emitted from the processor."),
    "processor_filter_spans.filtered": Description("Number of spans dropped by the filter processor."),
    "processor_filter_logs.filtered": Description("Number of logs dropped by the filter processor."),
    "processor_filter_datapoints.filtered": Description("Number of data points dropped by the filter processor."),
    "processor_batch_batch_send_size": Description("Number of units in the batch.", MetricLevel.NORMAL),
    "processor_batch_batch_send_size_bytes": Description(
        "Number of bytes in the batch that was sent.", MetricLevel.DETAILED
    ),
    "processor_batch_batch_size_trigger_send": Description(
        "Number of times the batch was sent due to a size trigger.", MetricLevel.NORMAL
    ),
    "processor_batch_timeout_trigger_send": Description(
        "Number of times the batch was sent due to a timeout trigger.", MetricLevel.NORMAL
    ),
    "receiver_otlp_json_file_malformed_lines": Description("Number of lines that were passed over."),
    "kafka_receiver_offset_lag": Description("Number of records of a partition that were not taken yet."),
    "kafka_receiver_records": Description("Number of records received."),
    "kafka_receiver_partition_start": Description("Number of partitions begun with."),
    "kafka_receiver_partition_close": Description("Number of partitions ended with."),
    "redis_receiver_lag": Description("Number of entries of a stream that the group has not acknowledged."),
    "redis_receiver_entries": Description("Number of entries received."),
    "redis_receiver_entries_lost": Description("Number of entries that were removed before they were acknowledged."),
    "process_uptime": Description("Uptime of the process in seconds."),
    "process_cpu_seconds": Description("Total CPU user and system time in seconds."),
    "process_memory_rss": Description("Total physical memory (resident set size) in bytes."),
}


def description(full_name: str) -> Description:
    """Return what is said of a metric, by its full name."""
    return _DESCRIPTIONS.get(full_name.removeprefix(PREFIX), _UNKNOWN)
