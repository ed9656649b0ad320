"""Questions that people ask of many records at once, each a function over a `provtel_query.Store`."""

from __future__ import annotations

from provtel_query.questions.costs import Schedule, hot_spots, imbalance, ranking, schedule
from provtel_query.questions.failures import Failure, failures, unfinished
from provtel_query.questions.origins import Crossing, Responsibility, crossings, descended_from, responsible
from provtel_query.questions.repeats import Repeats, recomputed, unstable
from provtel_query.questions.surroundings import agent_trace, model_usage, runs_before, runs_with_package

__all__ = [
    "Crossing",
    "Failure",
    "Repeats",
    "Responsibility",
    "Schedule",
    "agent_trace",
    "crossings",
    "descended_from",
    "failures",
    "hot_spots",
    "imbalance",
    "model_usage",
    "ranking",
    "recomputed",
    "responsible",
    "runs_before",
    "runs_with_package",
    "schedule",
    "unfinished",
    "unstable",
]
