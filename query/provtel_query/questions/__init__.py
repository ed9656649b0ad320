"""Questions that people ask of many records at once, each a function over a `provtel_query.Store`."""

from __future__ import annotations

from provtel_query.questions.costs import Schedule, hot_spots, imbalance, ranking, schedule
from provtel_query.questions.failures import Failure, failures, unfinished
from provtel_query.questions.origins import Crossing, Responsibility, crossings, descended_from, responsible
from provtel_query.questions.repeats import Repeats, recomputed, unstable
from provtel_query.questions.surroundings import (
    agent_trace,
    model_usage,
    prompt_versions,
    runs_before,
    runs_with_package,
)
from provtel_query.questions.times import epoch_table, on_weekday

__all__ = [
    "Crossing",
    "Failure",
    "Repeats",
    "Responsibility",
    "Schedule",
    "agent_trace",
    "crossings",
    "descended_from",
    "epoch_table",
    "failures",
    "hot_spots",
    "imbalance",
    "model_usage",
    "on_weekday",
    "prompt_versions",
    "ranking",
    "recomputed",
    "responsible",
    "runs_before",
    "runs_with_package",
    "schedule",
    "unfinished",
    "unstable",
]
