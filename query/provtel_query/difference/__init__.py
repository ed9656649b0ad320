"""What is different between two runs: structure, code, parameters, values, environment, cost; causes first."""

from __future__ import annotations

from provtel_query.difference.answer import Change, Cost, Difference, What
from provtel_query.difference.comparing import compare

__all__ = ["Change", "Cost", "Difference", "What", "compare"]
