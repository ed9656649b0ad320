"""The real Kafka that tests talk to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.services.found import Found, MissingServiceError
from tests.services.kafka import server


def login(kafka: server.Kafka, listener: str, mechanism: str) -> dict[str, Any]:
    """Return how a client speaks to a listener."""
    tls = {"ssl_cafile": str(kafka.authority)} if "TLS" in listener else {}
    sasl = {"sasl_mechanism": mechanism, "sasl_plain_username": server.USER, "sasl_plain_password": server.PASSWORD}
    protocol = {"PLAIN": "PLAINTEXT", "SASL": "SASL_PLAINTEXT", "TLS": "SSL", "SASL_TLS": "SASL_SSL"}[listener]
    return {"bootstrap_servers": kafka.address_of(listener), "security_protocol": protocol, **tls} | (
        sasl if mechanism else {}
    )


@pytest.mark.parametrize(
    ("listener", "mechanism"),
    [("PLAIN", ""), ("TLS", ""), ("SASL", "PLAIN"), ("SASL_TLS", "SCRAM-SHA-256"), ("SASL_TLS", "SCRAM-SHA-512")],
)
def test_record_comes_back(kafka: server.Kafka, listener: str, mechanism: str) -> None:
    """Each listener takes a record from who proves who they are, and gives it back."""
    place = TopicPartition(f"back-{listener}-{mechanism}", 0)
    producer = KafkaProducer(**login(kafka, listener, mechanism))
    producer.send(place.topic, b"one").get(10)
    producer.close()

    consumer = KafkaConsumer(bootstrap_servers=kafka.address)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    records = consumer.poll(10_000)
    consumer.close()

    assert [record.value for record in records[place]] == [b"one"]


def test_folder_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wrong PROVTEL_TEST_KAFKA is told, not passed over."""
    monkeypatch.setenv("PROVTEL_TEST_KAFKA", str(tmp_path))

    with pytest.raises(MissingServiceError, match="PROVTEL_TEST_KAFKA"):
        server.find()


def test_named_folder_comes_first(found_kafka: Found, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PROVTEL_TEST_KAFKA wins over PATH and over the cache."""
    (tmp_path / "libs").symlink_to(found_kafka.binary)
    monkeypatch.setenv("PROVTEL_TEST_KAFKA", str(tmp_path))

    assert Found("kafka", tmp_path / "libs", "named by PROVTEL_TEST_KAFKA") == server.find()


def test_nothing_to_get_one_with_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Kafka and without Java, the message says what to install."""
    monkeypatch.delenv("PROVTEL_TEST_KAFKA", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingServiceError, match="no java on PATH"):
        server.find()
