"""Conditions on spans, log records, metrics and what belongs to them, in a part of the OpenTelemetry language OTTL.

``resource.attributes["site"] == "north" and not (span.name == "step" or IsMatch(span.name, "^tmp"))``

There are paths, literals, ``nil``, enumerations such as ``SPAN_KIND_CLIENT``, the comparisons ``== != < <= > >=``,
``and``, ``or``, ``not``, parentheses, and the function ``IsMatch``. Everything else of OTTL (other functions,
arithmetic, lists and maps) is refused when the configuration is read.
"""

from __future__ import annotations

from provtel_collector.conditions.deciding import Decider, ErrorMode
from provtel_collector.conditions.parsing import Condition, parse_condition
from provtel_collector.conditions.paths import Level, Place
from provtel_collector.conditions.values import ConditionError

__all__ = ["Condition", "ConditionError", "Decider", "ErrorMode", "Level", "Place", "parse_condition"]
