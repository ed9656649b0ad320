"""The stores that tests of the contract run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exporters.backends import BACKENDS, Backend, Place, served


@pytest.fixture(params=sorted(BACKENDS), scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """Run a test on each backend."""
    return served(request, request.param)


@pytest.fixture
def place(backend: Backend) -> Iterator[Place]:
    """Give an empty store."""
    with backend.new() as place:
        yield place
