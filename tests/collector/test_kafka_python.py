"""What is used of kafka-python although it is not public is still there: a release without it says so here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.coordinator.base import BaseCoordinator
from kafka.producer.sender import Sender


@pytest.mark.parametrize(("kind", "attribute"), [(KafkaProducer, "_sender"), (KafkaConsumer, "_coordinator")])
def test_attribute(kind: type[Any], attribute: str) -> None:
    """Producers still have a sender, and consumers a coordinator, under these names."""
    assert attribute in kind.__init__.__code__.co_names


@pytest.mark.parametrize("method", [Sender.force_close, BaseCoordinator.need_rejoin])
def test_method(method: Callable[[Any], Any]) -> None:
    """They are called without arguments."""
    assert method.__code__.co_argcount == 1
