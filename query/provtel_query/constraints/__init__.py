"""Whether a PROV document is valid: the rules of W3C PROV-CONSTRAINTS, each with the records that break it.

A document is valid where its normal form exists (constraints 22 to 29, with the inferences that bear on them) and no
ordering (30 to 49), typing (50) or impossibility (51 to 56) is violated. Every bundle is checked by itself, as section
7.2 of the recommendation says. Inferences that only say that something unknown exists are not written out: of those
events that must exist only the place in the order counts. What the recommendation leaves open, whether recorded times
contradict the order of events, comes as a warning: clocks differ.
"""

from __future__ import annotations

from provtel_query.constraints.checking import check
from provtel_query.constraints.verdict import Finding, Verdict

__all__ = ["Finding", "Verdict", "check"]
