"""Figures over many records, the same on every backend: what to compute, and the reference that computes it.

A figure takes the first value at a field's path in each record. ``count`` counts the records, or with a field those
that have it; ``sum`` and ``avg`` take numbers, no truth values, and are exact before they are rounded once, so that the
order of records does not show; ``min`` and ``max`` take whatever is there, in the order of sorts; ``p50``, ``p99`` and
their kin are percentiles of numbers, between two of them by their distance. Of nothing, ``sum`` is 0 and the others
are null. Groups are equal as filters find them equal: ``1`` and ``1.0`` are one group, and what is missing is null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provtel_model.errors import FilterError
from provtel_model.fields import check_field, is_nan, order_of, values_at, with_computed
from provtel_model.filters import Query
from provtel_model.hashing import canonical_bytes

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import PlainRecord

FIGURES: Final = ("count", "sum", "avg", "min", "max")
_PERCENTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?|100)")


class Figure(NamedTuple):
    """One figure to compute.

    Args:
        name: ``count``, ``sum``, ``avg``, ``min``, ``max`` or a percentile such as ``p95``.
        field: What it is computed of; ``None`` only for ``count``.
    """

    name: str
    field: str | None = None

    def check(self) -> None:
        """Accept a figure that can be computed.

        Raises:
            FilterError: The figure or the field is unknown, or a field is missing.
        """
        if self.name not in FIGURES and _PERCENTILE.fullmatch(self.name) is None:
            known = ", ".join(FIGURES)
            raise FilterError(f"unknown figure {self.name!r}; known are {known}, and percentiles such as 'p95'")
        if self.field is not None:
            check_field(self.field)
        elif self.name != "count":
            raise FilterError(f"{self.name} needs a field, such as {self.name}(duration)")

    @property
    def percentile(self) -> float | None:
        """The percentile, 0 to 100; ``None`` where it is another figure."""
        match = _PERCENTILE.fullmatch(self.name)
        return float(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class Aggregation:
    """What a reader is asked to compute.

    Args:
        where: A filter document; see `provtel_model.filters`.
        by: Fields whose values make the groups; without any there is one group, of all records.
        figures: What to compute of each group, by the names that the answer has.
        sort: ``(name, 1 or -1)`` of a field in `by` or of a figure, in order of weight; ties, and without it all, are
            in the order of the groups.
        limit: At most so many groups; ``None`` for all.

    Raises:
        FilterError: Something of it is unknown or cannot be.
    """

    where: Mapping[str, Any] = field(default_factory=dict)
    by: Sequence[str] = ()
    figures: Mapping[str, Figure] = field(default_factory=lambda: {"count": Figure("count")})
    sort: Sequence[tuple[str, int]] = ()
    limit: int | None = None
    query: Query = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check everything at once."""
        object.__setattr__(self, "query", Query(self.where, sort=(), limit=self.limit))
        for name in self.by:
            check_field(name)
        for figure in self.figures.values():
            figure.check()
        if double := {*self.by} & {*self.figures}:
            raise FilterError(f"{min(double)!r} is the name of a field and of a figure; give the figure another one")
        for name, direction in self.sort:
            if name not in {*self.by, *self.figures} or direction not in {1, -1}:
                names = ", ".join([*self.by, *self.figures])
                raise FilterError(f"cannot sort by {name!r} {direction!r}; use 1 or -1 and one of {names}")


class Groups:
    """Values of records, gathered by group, of which an aggregation is computed.

    Args:
        wanted: The aggregation.
    """

    def __init__(self, wanted: Aggregation) -> None:
        self._wanted = wanted
        self._groups: dict[bytes, tuple[Sequence[AnyValue], list[list[AnyValue]]]] = {}

    def add(self, group: Sequence[AnyValue], taken: Iterable[Iterable[AnyValue]]) -> None:
        """Take records of one group.

        Args:
            group: What they have at the fields that make the groups.
            taken: For each figure what they have at its field.
        """
        _, gathered = self._groups.setdefault(_identity([*group]), (group, [[] for _ in self._wanted.figures]))
        for values, new in zip(gathered, taken, strict=True):
            values.extend(value for value in new if value is not None)

    def add_record(self, plain: PlainRecord) -> None:
        """Take one record, which matches."""
        record = with_computed(plain)
        figures = self._wanted.figures.values()
        self.add(
            [first_value(record, name) for name in self._wanted.by],
            [[True if figure.field is None else first_value(record, figure.field)] for figure in figures],
        )

    def answer(self) -> list[dict[str, AnyValue]]:
        """Return the groups, each a map of its fields and figures, in order and cut to the limit."""
        wanted = self._wanted
        groups = [*self._groups.values()]
        if not groups and not wanted.by:
            groups = [((), [[] for _ in wanted.figures])]
        rows = [
            {
                **dict(zip(wanted.by, group, strict=True)),
                **{
                    name: figure_of(wanted.figures[name], values)
                    for name, values in zip(wanted.figures, gathered, strict=True)
                },
            }
            for group, gathered in groups
        ]
        return ordered_groups(rows, wanted)


def aggregate(plains: Iterable[PlainRecord], wanted: Aggregation) -> list[dict[str, AnyValue]]:
    """Return the groups of the records that match, each a map of its fields and figures; the reference."""
    groups = Groups(wanted)
    for plain in filter(wanted.query.matches, plains):
        groups.add_record(plain)
    return groups.answer()


def counted_groups(counted: Iterable[tuple[Sequence[AnyValue], int]], wanted: Aggregation) -> list[dict[str, AnyValue]]:
    """Return what `aggregate` does where every figure counts records, from how many each group of values has."""
    groups = [*counted]
    if not groups and not wanted.by:
        groups = [((), 0)]
    rows = [
        {**dict(zip(wanted.by, values, strict=True)), **dict.fromkeys(wanted.figures, count)}
        for values, count in groups
    ]
    return ordered_groups(rows, wanted)


def ordered_groups(rows: list[dict[str, AnyValue]], wanted: Aggregation) -> list[dict[str, AnyValue]]:
    """Return groups in the order that was asked for, cut to the limit."""
    for name, direction in reversed([*wanted.sort, *((name, 1) for name in wanted.by)]):
        rows.sort(key=_by(name), reverse=direction < 0)
    return rows if wanted.limit is None else rows[: wanted.limit]


def figure_of(figure: Figure, values: list[AnyValue]) -> AnyValue:
    """Return a figure of values, none of them null."""
    if figure.name == "count":
        return len(values)
    if figure.name in {"min", "max"}:
        return _extreme(figure.name, values)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if figure.name == "sum":
        return _sum(numbers)
    if not numbers:
        return None
    percentile = figure.percentile
    return _sum(numbers) / len(numbers) if percentile is None else _percentile(_sorted(numbers), percentile)


def distinct(plains: Iterable[PlainRecord], name: str, query: Query) -> list[AnyValue]:
    """Return the different values of a field in the records that match, in the order of sorts; the reference.

    Of a list each element counts, as in MongoDB.
    """
    check_field(name)
    return different(value for plain in filter(query.matches, plains) for value in values_of(plain, name))


def different(values: Iterable[AnyValue]) -> list[AnyValue]:
    """Return values without those that are equal to another, in the order of sorts; of a list each element counts."""
    found: dict[bytes, AnyValue] = {}
    for value in values:
        for item in value if isinstance(value, list) else [value]:
            found.setdefault(_identity(item), item)
    return sorted(found.values(), key=order_of)


def values_of(plain: PlainRecord, name: str) -> Iterator[AnyValue]:
    """Yield the values that a record has at a field."""
    return values_at(with_computed(plain), tuple(name.split(".")))


def first_value(record: Mapping[str, AnyValue], name: str) -> AnyValue:
    """Return the first value at a field's path of a record with computed fields; null where there is none."""
    return next(values_at(dict(record), tuple(name.split("."))), None)


def _identity(value: AnyValue) -> bytes:
    return canonical_bytes(_with_integers(value))


def _with_integers(value: AnyValue) -> AnyValue:
    """Return a value in which numbers that are equal are the same."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, list):
        return [_with_integers(item) for item in value]
    if isinstance(value, dict):
        return {key: _with_integers(item) for key, item in value.items()}
    return value


def _extreme(name: str, values: list[AnyValue]) -> AnyValue:
    """Return the first or the last of values in the order of sorts."""
    choose: Callable[..., AnyValue] = min if name == "min" else max
    kinds = {*map(type, values)}
    if kinds in ({int}, {str}) or (kinds <= {int, float} and not any(map(is_nan, values))):
        return choose(values, default=None)  # in their own order, which is that of sorts
    return choose(values, key=order_of, default=None)


def _sorted(numbers: list[int | float]) -> list[int | float]:
    """Return numbers in the order of sorts: those that are none come first."""
    return [*filter(is_nan, numbers), *sorted(number for number in numbers if not is_nan(number))]


def _sum(numbers: list[int | float]) -> int | float:
    if all(isinstance(number, int) for number in numbers):
        whole = sum(numbers)
        return whole if abs(whole) < 2**63 else float(whole)
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):  # beyond the largest number, or infinities of both signs
        return sum(map(float, sorted(numbers)))


def _percentile(numbers: list[int | float], percentile: float) -> AnyValue:
    place = (len(numbers) - 1) * percentile / 100
    below, above = numbers[math.floor(place)], numbers[math.ceil(place)]
    return float(below) if below == above else below + (above - below) * (place - math.floor(place))


def _by(name: str) -> Callable[[dict[str, AnyValue]], tuple[int, Any]]:
    return lambda row: order_of(row[name])
