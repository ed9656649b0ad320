"""What MongoDB can say about a filter: documents among which all matches are, and whether there are no others.

MongoDB decides what it decides exactly as `provtel_model.filters` does: texts and times of the record itself, and
numbers, for equality and order. Of the fields that users name it is only asked for candidates, and the filter looks at
each: their documents may be in an exact form that MongoDB does not look into. Regular expressions are RE2's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from provtel_model.fields import TIME_FIELDS
from provtel_model.filters import comparable
from provtel_model.paging import ALWAYS, Place

from provtel_exporters.mongodb.documents import FIRST_INT, LAST_INT
from provtel_exporters.mongodb.layout import EXACT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provtel_model.filters import Query

Filter = dict[str, Any]

TEXTS: Final = frozenset(
    {
        *("id", "run", "trace_id", "span_id", "parent_id", "kind", "name", "status", "host", "trace_state"),
        *("workflow_id", "workflow_name", "campaign_id"),
    }
)
"""Fields that are texts or missing, and always in a document as they are."""

_ORDERED_TEXTS: Final = frozenset({"id", "trace_id", "span_id"})  # ASCII, which every server orders alike
_NUMBERS: Final = frozenset({"pid", "rank", "span_kind", "duration"})
_SORTED_THERE: Final = TIME_FIELDS | _ORDERED_TEXTS | {"status", "pid", "rank", "duration"}
_COMPUTED_OF: Final = {"id": (), "run": ("workflow_id",), "duration": ("ended_at",)}
_EXACT_INTS: Final = 2**53
_TRACE_ID: Final = re.compile("[0-9a-f]{32}")
_ORDER: Final = ("$gt", "$gte", "$lt", "$lte")
_NAMES_IT: Final = ("$eq", "$in", *_ORDER)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask MongoDB.

    Args:
        filter: Every match is among the documents that this matches.
        exact: Whether there are no others among them.
    """

    filter: Filter = field(default_factory=dict)
    exact: bool = True

    @classmethod
    def of(cls, where: Mapping[str, Any]) -> Plan:
        """Return the plan for a filter that `provtel_model.filters.Query` has accepted."""
        return _all([_clause(name, condition) for name, condition in where.items()])


def page(query: Query) -> Plan:
    """Return the plan for the page of a query, its cursor included."""
    plan = Plan.of(query.where)
    if query.after is None:
        return plan
    bound: list[Plan] = []
    if query.sort and sorts_there(query.sort):
        value, (name, direction) = Place.parse(query.after, len(query.sort)).values[0], query.sort[0]
        if value is not None:  # nulls come first, and are in no order with numbers and texts
            bound = [_condition(name, "$gte" if direction > 0 else "$lte", value)]
            if direction < 0 and name not in ALWAYS:
                bound = [_any([*bound, _condition(name, "$eq", None)])]
    return Plan(_all([plan, *bound]).filter, exact=False)


def sorts_there(sort: Sequence[tuple[str, int]]) -> bool:
    """Say whether MongoDB puts records in an order as we do; but see `at_the_end` of times."""
    return all(name in _SORTED_THERE for name, _ in sort)


def needed_for(query: Query) -> set[str]:
    """Return the fields that are looked at when a query selects and orders records."""
    names = [*_fields_of(query.where), *(name for name, _ in query.sort)]
    return {*ALWAYS, *(top for name in names for top in tops_of(name))}


def tops_of(name: str) -> tuple[str, ...]:
    """Return the fields of a document that a field of a query is in, or is computed of."""
    top = name.partition(".")[0]
    return _COMPUTED_OF.get(top, (top,))


def projection(tops: set[str]) -> dict[str, int]:
    """Return what MongoDB is to leave of each document, so that these fields can be read."""
    return dict.fromkeys(sorted(tops), 1) | {EXACT: 1}


def _fields_of(where: Mapping[str, Any]) -> Iterator[str]:
    for name, condition in where.items():
        if name in {"$and", "$or"}:
            for branch in condition:
                yield from _fields_of(branch)
        else:
            yield name


def _all(plans: list[Plan]) -> Plan:
    filters = [plan.filter for plan in plans if plan.filter]
    exact = all(plan.exact for plan in plans)
    return Plan(filters[0] if len(filters) == 1 else {"$and": filters} if filters else {}, exact)


def _any(plans: list[Plan]) -> Plan:
    if not all(plan.filter for plan in plans):  # one of them may be any record
        return Plan(exact=all(plan.exact for plan in plans))
    return Plan({"$or": [plan.filter for plan in plans]}, all(plan.exact for plan in plans))


def _clause(name: str, condition: Any) -> Plan:
    if name in {"$and", "$or"}:
        combine = _all if name == "$and" else _any
        return combine([Plan.of(branch) for branch in condition])
    if isinstance(condition, Mapping) and any(str(key).startswith("$") for key in condition):
        return _all([_condition(name, operator, operand) for operator, operand in condition.items()])
    return _condition(name, "$eq", condition)


_UNKNOWN: Final = Plan(exact=False)


def _condition(name: str, operator: str, operand: Any) -> Plan:
    if operator == "$exists":
        known = name in TEXTS | TIME_FIELDS | _NUMBERS
        if known:
            return Plan({name: {"$exists": bool(operand)}})
        return _candidates(name, operator, operand=True) if operand else _UNKNOWN
    if name in TEXTS:
        return _of_text(name, operator, operand)
    if name in TIME_FIELDS:
        return _of_time(name, operator, operand)
    if name in _NUMBERS:
        return Plan({name: {operator: operand}}) if _is_asked_for(operator, operand, _is_safe_number) else _UNKNOWN
    if operator not in _NAMES_IT or not _is_asked_for(operator, operand, _is_named):
        return _UNKNOWN
    return _candidates(name, operator, operand)


def _of_text(name: str, operator: str, operand: Any) -> Plan:
    if operator in _ORDER:
        fits = name in _ORDERED_TEXTS and isinstance(operand, str) and operand.isascii()
        return Plan({name: {operator: operand}}) if fits else _UNKNOWN
    if not _is_asked_for(operator, operand, _is_text_or_none):
        return _UNKNOWN
    return Plan({name: {operator: operand}} | _found_by(name, operator, operand))


def _found_by(name: str, operator: str, operand: Any) -> Filter:
    """Return what else holds for every match, by which MongoDB has an index that finds it."""
    if name == "trace_id" and operator == "$eq" and isinstance(operand, str) and _TRACE_ID.fullmatch(operand):
        return {"_id": {"$gte": f"{operand}-", "$lt": f"{operand}."}}  # a full stop follows the hyphen in ASCII
    if name == "workflow_id" and operator in {"$eq", "$in"}:
        wanted = operand if operator == "$in" else [operand]
        return {"run": {operator: operand}} if all(wanted) else {}  # a record without a workflow has its trace for one
    return {}


def _of_time(name: str, operator: str, operand: Any) -> Plan:
    """Return the plan for a time; later ones than MongoDB's integers hold are all the last of these there."""
    if operator in {"$in", "$nin"}:
        moments = [comparable(name, item) for item in operand]
        fits = all(item is None or _is_moment(item) for item in moments)
        return Plan({name: {operator: moments}}) if fits else _UNKNOWN
    if operator not in {"$eq", "$ne", *_ORDER}:
        return _UNKNOWN
    moment = comparable(name, operand)
    if _is_moment(moment) or (moment is None and operator in {"$eq", "$ne"}):
        return Plan({name: {operator: moment}})
    return _UNKNOWN


def _candidates(name: str, operator: str, operand: Any) -> Plan:
    """Return a plan for what users name: what seems to match, and what is in an exact form."""
    parts = name.split(".")
    if not all(part and part[0] != "$" and "\0" not in part for part in parts):
        return _UNKNOWN
    hidden = {f"{EXACT}.{parts[0]}": {"$exists": True}}
    return Plan({"$or": [{name: {operator: operand}}, hidden]}, exact=False)


def _is_asked_for(operator: str, operand: Any, fits: Any) -> bool:
    if operator in {"$in", "$nin"}:
        return all(fits("$eq", item) for item in operand)
    return operator in {"$eq", "$ne", *_ORDER} and bool(fits(operator, operand))


def _is_text_or_none(_operator: str, operand: Any) -> bool:
    return operand is None or (type(operand) is str and _is_storable(operand))


def _is_safe_number(operator: str, operand: Any) -> bool:
    if operand is None:
        return operator in {"$eq", "$ne"}
    return type(operand) in {int, float} and math.isfinite(operand) and abs(operand) < _EXACT_INTS


def _is_named(operator: str, operand: Any) -> bool:
    """Say whether MongoDB finds at least what we find: numbers, and texts that every server orders alike."""
    if type(operand) is str:
        return operand.isascii() or (operator == "$eq" and _is_storable(operand))
    if type(operand) is bool:
        return operator == "$eq"
    return type(operand) in {int, float} and math.isfinite(operand) and abs(operand) < _EXACT_INTS


def _is_moment(value: Any) -> bool:
    return type(value) is int and FIRST_INT < value < LAST_INT


def _is_storable(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
