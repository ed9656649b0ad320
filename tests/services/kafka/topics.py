"""Topics of a Kafka, as tests make and read them."""

from __future__ import annotations

import uuid
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from tests.services.kafka.server import Kafka


def make_topic(kafka: Kafka, partitions: int = 1, **settings: str) -> str:
    """Make a topic that no other test has, and return its name.

    Args:
        kafka: Where.
        partitions: How many partitions it has.
        settings: Its own settings, with underscores for dots.
    """
    name = f"topic-{uuid.uuid4().hex[:12]}"
    client = KafkaAdminClient(bootstrap_servers=kafka.address)
    try:
        own = {key.replace("_", "."): value for key, value in settings.items()}
        client.create_topics([NewTopic(name, partitions, 1, topic_configs=own)])
    finally:
        client.close()
    return name


def records(kafka: Kafka, topic: str) -> list[Any]:
    """Return every record that a topic has now, partition by partition."""
    consumer = KafkaConsumer(bootstrap_servers=kafka.address, enable_auto_commit=False)
    try:
        places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        if not places:
            return []
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        found: dict[TopicPartition, list[Any]] = {place: [] for place in places}
        while any(consumer.position(place) < ends[place] for place in places):
            for place, some in consumer.poll(1000).items():
                found[place] += some
        return [record for place in places for record in found[place]]
    finally:
        consumer.close()


def committed(kafka: Kafka, group: str, topic: str) -> dict[int, int]:
    """Return the offset that a group has committed of each partition of a topic; 0 where it has none."""
    consumer = KafkaConsumer(bootstrap_servers=kafka.address, group_id=group, enable_auto_commit=False)
    try:
        numbers = sorted(consumer.partitions_for_topic(topic) or ())
        return {number: consumer.committed(TopicPartition(topic, number)) or 0 for number in numbers}
    finally:
        consumer.close()
