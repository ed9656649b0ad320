"""Attributes of OpenTelemetry as a record keeps them: sequences are lists, and secrets are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from provtel.redaction import REDACTED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel_model.anyvalue import AnyValue

    from provtel.snapshot import Snapshots

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_CONTAINERS: Final = frozenset({dict, list, tuple})
_NAMING: Final = frozenset({int, float, bool, bytes})
_BASES: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, bytes.__bytes__),
    (list, list.copy),
    (tuple, lambda value: tuple.__getitem__(value, slice(None))),
    (dict, dict.copy),
)


def name_of(key: object) -> str:
    """Return the name that a key of a mapping is; the empty text where it is none, for which it would run its code."""
    kind = type(key)
    if issubclass(kind, str):
        return str.__str__(key)
    return str(key) if key and kind in _NAMING else ""


def _bare(value: Any) -> Any:
    """Return a value of a subclass as OpenTelemetry has it, of the class: of a member of an enumeration its value."""
    kind = type(value)
    if kind is bool:
        return value
    return next((bare(value) for base, bare in _BASES if issubclass(kind, base)), value)


def form_of(snapshots: Snapshots, key: str, value: object, longest: int | None = None) -> AnyValue:
    """Return the form of an attribute's value; never raises.

    Args:
        snapshots: Takes it.
        key: Name of the attribute; one that hides a secret hides the value.
        value: Any value.
        longest: How many characters a text in it may have.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value  # type: ignore[return-value]  # mypy does not see what `is` says
    # What the redaction finds to be plain it remembers, for the next time.
    if not snapshots.redaction.is_plain_name(key) and snapshots.redaction.hides(key):
        return REDACTED
    if kind is float or (kind is int and _INT64_MIN <= value <= _INT64_MAX):  # type: ignore[operator]  # an int
        return value  # type: ignore[return-value]  # as above
    if kind is str:
        return snapshots.text(_cut(snapshots, value, longest))  # type: ignore[arg-type]  # a str
    bare = _bare(value)
    if type(bare) is not kind:
        return form_of(snapshots, key, bare, longest)
    return snapshots.of(_listed(snapshots, value, longest, snapshots.max_depth))


def _cut(snapshots: Snapshots, text: str, longest: int | None) -> str:
    # Redacted before it is cut: of a secret on the edge no part may stay.
    return text if longest is None or len(text) <= longest else snapshots.redaction.text(text)[:longest]


def _listed(snapshots: Snapshots, value: Any, longest: int | None, depth: int) -> Any:
    """Return a value whose sequences are lists, as far as it is kept at all."""
    kind = type(value)
    if kind is str:
        return _cut(snapshots, value, longest)
    if kind in _CONTAINERS and depth and len(value) <= snapshots.max_items:
        if kind is dict:
            return {key: _listed(snapshots, item, longest, depth - 1) for key, item in value.items()}
        return [_listed(snapshots, item, longest, depth - 1) for item in value]
    bare = _bare(value)
    return value if type(bare) is kind else _listed(snapshots, bare, longest, depth)


def forms_of(
    snapshots: Snapshots, attributes: Mapping[str, Any] | None, count: int | None, longest: int | None
) -> tuple[dict[str, AnyValue], int]:
    """Return the forms of some attributes, and how many were left out: beyond a count, or without a name.

    Args:
        snapshots: Takes them.
        attributes: They.
        count: How many there may be.
        longest: How many characters a text in them may have.
    """
    forms: dict[str, AnyValue] = {}
    if not attributes:
        return forms, 0
    for key, value in attributes.items():
        name = key if type(key) is str else name_of(key)
        if name and (count is None or len(forms) < count):
            forms[name] = form_of(snapshots, name, value, longest)
    return forms, len(attributes) - len(forms)
