"""Answers over segments on a network file system, which LMDB's own reader gives from their index; these take long."""

from __future__ import annotations

import pytest

from tests.exporters.backends import SEGMENTS, Backend
from tests.exporters.test_contract import (  # noqa: F401  # run here, on the backend of this module
    test_a_reader_finds_what_a_scan_finds,
    test_data_keys_lead_to_occurrences,
    test_generators_of_some_runs_are_all_there,
    test_ids_and_parents_lead_to_records,
)
from tests.exporters.test_contract_answers import (  # noqa: F401
    test_a_projection_gives_what_was_asked_for,
    test_ancestors_are_the_parents_of_parents,
    test_different_values_are_those_of_a_list,
    test_figures_are_those_of_a_list,
    test_links_lead_back,
    test_pages_are_the_whole_cut_up,
)

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def backend() -> Backend:
    """Give the backend of this module."""
    return SEGMENTS
