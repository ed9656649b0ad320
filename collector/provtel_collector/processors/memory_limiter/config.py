"""What a user writes for the ``memory_limiter`` processor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from provtel_model.settings import Duration

_ALL: Final = 100


@dataclass(frozen=True, slots=True)
class MemoryLimiterConfig:
    """The ``memory_limiter`` processor; a limit in MiB counts more than one in percent.

    Args:
        check_interval: How often the memory is looked at.
        limit_mib: The most that the process should use, the hard limit.
        spike_limit_mib: How much may come between two looks; so much below the hard limit, the soft one, data are
            refused. 0 is a fifth of the limit.
        limit_percentage: The hard limit as a part of the memory that there is.
        spike_limit_percentage: The spike as a part of the memory that there is.
        min_gc_interval_when_soft_limited: The least time between two garbage collections above the soft limit.
        min_gc_interval_when_hard_limited: The same above the hard limit.
        max_gc_interval_when_soft_limited: Up to how much that time grows while collecting does not help; 0 is not.
        max_gc_interval_when_hard_limited: The same above the hard limit.
    """

    check_interval: Duration = Duration(0)
    limit_mib: int = 0
    spike_limit_mib: int = 0
    limit_percentage: int = 0
    spike_limit_percentage: int = 0
    min_gc_interval_when_soft_limited: Duration = Duration(10)
    min_gc_interval_when_hard_limited: Duration = Duration(0)
    max_gc_interval_when_soft_limited: Duration = Duration(30)
    max_gc_interval_when_hard_limited: Duration = Duration(30)

    def __post_init__(self) -> None:
        """Refuse limits that are none or that contradict each other, in the OpenTelemetry Collector's words.

        Raises:
            ValueError: It is so.
        """
        if problem := self._problem():
            raise ValueError(problem)

    def _problem(self) -> str:
        if self.check_interval <= 0:
            return "'check_interval' must be greater than zero"
        if problem := self._contradiction():
            return problem
        if min(self.limit_mib, self.spike_limit_mib, self.limit_percentage, self.spike_limit_percentage) < 0:
            return "limits must not be negative"
        if not (self.limit_mib or self.limit_percentage):
            return "'limit_mib' or 'limit_percentage' must be greater than zero"
        if max(self.limit_percentage, self.spike_limit_percentage) > _ALL:
            return (
                "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less than or equal to "
                "hundred"
            )
        if 0 < self.limit_mib <= self.spike_limit_mib:
            return "'spike_limit_mib' must be smaller than 'limit_mib'"
        if 0 < self.limit_percentage <= self.spike_limit_percentage:
            return "'spike_limit_percentage' must be smaller than 'limit_percentage'"
        return ""

    def _contradiction(self) -> str:
        least_soft, least_hard = self.min_gc_interval_when_soft_limited, self.min_gc_interval_when_hard_limited
        most_soft, most_hard = self.max_gc_interval_when_soft_limited, self.max_gc_interval_when_hard_limited
        if least_soft < least_hard:
            return "'min_gc_interval_when_soft_limited' should be larger than 'min_gc_interval_when_hard_limited'"
        for name, most, least in (("soft", most_soft, least_soft), ("hard", most_hard, least_hard)):
            if 0 < most < least:
                return (
                    f"'max_gc_interval_when_{name}_limited' must be greater than or equal to "
                    f"'min_gc_interval_when_{name}_limited' (or 0 to disable)"
                )
        if most_soft and most_hard and most_soft < most_hard:
            return (
                "'max_gc_interval_when_soft_limited' should be larger than or equal to "
                "'max_gc_interval_when_hard_limited' (when both are set)"
            )
        return ""
