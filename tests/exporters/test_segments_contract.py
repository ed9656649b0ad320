"""What the contract of stores says of the arrangement for network file systems: the part where it differs from LMDB."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exporters.backends import SEGMENTS, Backend, Place
from tests.exporters.test_contract import (  # noqa: F401  # run here, on the backend of this module
    test_an_open_reader_sees_later_writes,
    test_closing_twice_is_safe,
    test_order_and_number_of_deliveries_do_not_matter,
    test_what_no_store_can_keep_is_refused_whole,
)
from tests.exporters.test_contract_changes import (  # noqa: F401
    test_a_run_that_is_deleted_leaves_no_trace,
    test_changes_begin_where_they_are_told,
    test_changes_leave_nothing_out,
    test_what_is_no_cursor_is_refused,
)
from tests.exporters.test_contract_telemetry import test_what_is_old_is_forgotten  # noqa: F401
from tests.exporters.test_faults import (  # noqa: F401
    test_forked_children_use_the_store_too,
    test_processes_write_and_read_at_once,
    test_what_was_acknowledged_survives_kills,
)


@pytest.fixture(scope="module")
def backend() -> Backend:
    """Give the backend of this module."""
    return SEGMENTS


@pytest.fixture
def place() -> Iterator[Place]:
    """Give an empty store of it."""
    with SEGMENTS.new() as place:
        yield place
