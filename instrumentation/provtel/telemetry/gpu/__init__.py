"""GPUs: what they do, as metrics, and what of it is counted as a task's."""

from __future__ import annotations

from provtel.telemetry.gpu.gpus import Gpus, expect_gpus, expect_none, find_gpus

__all__ = ["Gpus", "expect_gpus", "expect_none", "find_gpus"]
