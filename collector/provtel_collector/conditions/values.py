"""How the values in conditions are compared, and read as text."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from provtel_collector.attribute_lists import as_text, set_raw

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue as PlainValue

Compare = Callable[[Any, Any], bool]
COMPARISONS: Final[Mapping[str, Compare]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OF_EQUALS: Final = frozenset({"==", "<=", ">="})
_ORDERED: Final = (bool, str, bytes)


class ConditionError(Exception):
    """A condition that cannot be decided for the data that it met."""


def compare(left: PlainValue, sign: str, right: PlainValue) -> bool:
    """Compare two values; those of different kinds are unlike, and neither is less. No bytes are as good as nothing."""
    left, right = (None if value == b"" else value for value in (left, right))
    if left is None and right is None:
        return sign in _OF_EQUALS
    if _comparable(left, right) or (type(left) is type(right) and sign in {"==", "!="}):
        return bool(COMPARISONS[sign](left, right))
    return sign == "!="


def _comparable(left: PlainValue, right: PlainValue) -> bool:
    if isinstance(left, _ORDERED):
        return type(left) is type(right)
    return type(left) in {int, float} and type(right) in {int, float}


def text_of(value: PlainValue) -> str | None:
    """Return a value as the text that a pattern is compared with; ``None`` is no text.

    Raises:
        ConditionError: It is a number that is none, or is infinite.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ConditionError(f"{value} is no text")
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    held = AnyValue()
    set_raw(held, value)
    return as_text(held)
