"""What stands between components: small consumers, each with one duty, put around or before others."""

from __future__ import annotations

from provtel_collector.delivery.announced import Announced
from provtel_collector.delivery.counted import Counted, Passing, over
from provtel_collector.delivery.fan_out import FanOut, fan_out

__all__ = ["Announced", "Counted", "FanOut", "Passing", "fan_out", "over"]
