"""Stores to ask: over every kind of reader, filled with the same records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TypeAlias

import pytest
from provtel_model.record import PlainRecord
from provtel_query import Store

from tests.exporters.backends import BACKENDS, Backend, served
from tests.query.stores import held, in_memory

StoreOf: TypeAlias = Callable[[Sequence[PlainRecord]], Store]


@pytest.fixture(params=["memory", *sorted(BACKENDS)])
def store_of(request: pytest.FixtureRequest) -> Iterator[StoreOf]:
    """Return how to open a store that holds some records."""
    backend = None if request.param == "memory" else served(request, request.param)
    with ExitStack() as stack:

        def open_store(records: Sequence[PlainRecord]) -> Store:
            return stack.enter_context(in_memory(records) if backend is None else held(backend, records))

        yield open_store


@pytest.fixture(params=sorted(BACKENDS), scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """Run a property on each backend; `tests.exporters.backends.thinned` tries fewer examples on a slow one."""
    return served(request, request.param)
