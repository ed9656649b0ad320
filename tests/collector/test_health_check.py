"""The health_check extension says whether data is taken."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from provtel_collector.extensions.health_check import factory
from provtel_collector.extensions.health_check.config import HealthCheckConfig, ResponseBody
from provtel_collector.extensions.health_check.extension import HealthCheck
from provtel_collector.service import Watcher
from provtel_model.components import Context
from provtel_model.errors import ConfigError


@pytest.fixture
def health() -> Iterator[HealthCheck]:
    """Run the extension."""
    extension = make("localhost:0", "/healthy")
    extension.start()
    yield extension
    extension.shutdown()


def make(endpoint: str, path: str = "/") -> HealthCheck:
    """Return the extension, not started."""
    made = factory.create(HealthCheckConfig(endpoint, path), Context("health_check", {}, lambda *_: None))
    assert isinstance(made, HealthCheck)
    return made


def ask(health: HealthCheck, path: str = "/healthy") -> tuple[int, Any]:
    """Return the status and what is said."""
    connection = http.client.HTTPConnection(health.addresses[0].split("/")[2], timeout=10)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_says_whether_data_is_taken(health: HealthCheck) -> None:
    """It answers 503 before the collector is ready, 200 with the time since then, and 503 when it stops."""
    assert isinstance(health, Watcher)
    assert ask(health) == (503, {"status": "Server not available"})

    health.ready()
    status, said = ask(health)
    assert (status, said["status"], said["uptime"]) == (200, "Server available", "0:00:00")

    health.not_ready()
    assert ask(health)[0] == 503


def test_other_paths_are_not_found(health: HealthCheck) -> None:
    """Only its own path is answered, so that a wrong question is no good news."""
    health.ready()

    assert ask(health, "/")[0] == 404


def test_port_in_use(health: HealthCheck) -> None:
    """A port that is taken is an error with the key that names it."""
    endpoint = health.addresses[0].split("/")[2]

    with pytest.raises(
        ConfigError, match=f"^extensions::health_check::endpoint: cannot listen on {endpoint}: address al"
    ):
        make(endpoint).start()


def test_path_must_be_one() -> None:
    """A path without a slash, which nobody could ask, is refused."""
    with pytest.raises(ValueError, match="path must start with /"):
        HealthCheckConfig(path="healthy")


def test_body_can_be_chosen() -> None:
    """Whoever wants to read other words than a state gets them."""
    config = HealthCheckConfig("localhost:0", response_body=ResponseBody("fine", "not yet"))
    extension = factory.create(config, Context("health_check", {}, lambda *_: None))
    extension.start()
    try:
        assert words(extension) == (503, "not yet")
        extension.ready()
        assert words(extension) == (200, "fine")
    finally:
        extension.shutdown()


def words(health: HealthCheck) -> tuple[int, str]:
    """Return the status and what is said, as it is."""
    connection = http.client.HTTPConnection(health.addresses[0].split("/")[2], timeout=10)
    with closing(connection):
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
