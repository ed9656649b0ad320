"""The stores that tests of the contract run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exporters.backends import BACKENDS, SERVERS, Backend, Place


@pytest.fixture(params=sorted(BACKENDS), scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """Run a test on each backend."""
    backend = BACKENDS[request.param]
    if backend.service is not None:
        SERVERS[backend.service] = request.getfixturevalue(backend.service)
    return backend


@pytest.fixture
def place(backend: Backend) -> Iterator[Place]:
    """Give an empty store."""
    with backend.new() as place:
        yield place
