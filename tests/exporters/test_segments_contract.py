"""What the contract of stores says of stores on network file systems; the rest is in `test_segments_answers`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exporters.backends import SEGMENTS, Backend, Place
from tests.exporters.test_contract import (  # noqa: F401  # run here, on the backend of this module
    test_a_record_moves_through_its_states,
    test_a_store_holds_the_merge_of_all_copies,
    test_an_open_reader_sees_later_writes,
    test_closing_twice_is_safe,
    test_generators_of_other_runs_are_left_out_where_they_are_many,
    test_order_and_number_of_deliveries_do_not_matter,
    test_threads_write_and_read_at_once,
    test_what_came_before_is_a_duplicate,
    test_what_no_store_can_keep_is_refused_whole,
)
from tests.exporters.test_contract_answers import (  # noqa: F401
    test_a_cursor_of_another_order_is_refused,
    test_pages_do_not_shift_under_writes,
)
from tests.exporters.test_contract_changes import (  # noqa: F401
    test_a_run_that_is_deleted_leaves_no_trace,
    test_changes_begin_where_they_are_told,
    test_changes_leave_nothing_out,
    test_changes_wait_for_the_first,
    test_space_of_what_was_deleted_is_used_again,
    test_what_is_no_cursor_is_refused,
)
from tests.exporters.test_contract_telemetry import (  # noqa: F401
    test_a_task_leads_to_what_fell_into_it,
    test_a_window_shows_what_falls_into_it,
    test_what_is_old_is_forgotten,
)
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
