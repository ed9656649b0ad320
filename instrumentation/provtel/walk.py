"""The walk through one value, which makes its form, and another one through what is too large to keep, for its hash.

What a walk costs is bounded: every value takes from what is left of the limit about as much as it takes time, so that
the largest value that is kept whole takes about a millisecond.
"""

from __future__ import annotations

import collections
import datetime as dt
import enum
import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from provtel_model.hashing import SHA256_PREFIX, content_hash
from provtel_model.values import (
    LEAF_TYPES,
    Reference,
    encode_leaf,
    encode_map,
    encode_object,
    encode_set,
    encode_tuple,
)

from provtel import anatomy, arrays, preview, references
from provtel.content import keep_form
from provtel.redaction import REDACTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from provtel_model.anyvalue import AnyValue

    from provtel.hashing_time import HashBudget
    from provtel.snapshot import Snapshots

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_IN_BULK: Final = 8
"""What an item costs in a list of nothing but numbers, or nothing but texts."""
_REFERENCE_COST: Final = 256
_NOT_A_TIME: Final = ".NaTType"
"""The class of what pandas has for a moment that is missing; asked like a moment, it says the year 1."""
_MAP: Final = ": "
_MORE: Final = 4
"""What it may cost where there is time, in times of what a record may hold."""
_MORE_KEPT: Final = 64
"""The same, where values are kept whole."""
_SMALL_WALK: Final = 16 * 2**10
"""What a walk for the hash may cost whatever the time."""


class TooMuchError(Exception):
    """A value has more content than the limits allow, or content that cannot be known whole."""


class Walk:
    """A walk through one value.

    Args:
        limits: Say how far it goes.
        objects: Collects the instances that were met.
    """

    leaf_cost = 8
    node_cost = 32
    width = 1

    def __init__(self, limits: Snapshots, objects: list[object]) -> None:
        """Begin with all that the limits allow."""
        self.limits = limits
        self.objects = objects
        self.left = limits.max_value
        self.path: set[int] = set()
        self._budget: HashBudget | None = None
        self._hashing: _HashWalk | None = None

    @property
    def budget(self) -> HashBudget:
        """What may be hashed for the value."""
        if self._budget is None:
            self._budget = self.limits.budget()
        return self._budget

    def whole(self, value: object) -> AnyValue:
        """Return the form of the value; of one that is too large a reference."""
        try:
            return self.form(value)
        except TooMuchError:
            return self.large(value)
        finally:
            if self._budget is not None:
                self._budget.settle()

    def form(self, value: object) -> AnyValue:
        """Return the form of a value.

        Raises:
            TooMuchError: It is too large.
        """
        kind = type(value)
        if kind is float or kind is bool or value is None:
            return value  # type: ignore[return-value]  # mypy does not see what `is` says
        if kind is int and _INT64_MIN <= value <= _INT64_MAX:  # type: ignore[operator]  # as above
            return value  # type: ignore[return-value]  # as above
        take = _TAKERS.get(id(kind))
        if take is not None:
            return take(self, value)
        if id(kind) in _LEAVES:
            return self.leaf(value)
        return self._other(value, kind)

    def spend(self, cost: int) -> None:
        """Take from what is left.

        Raises:
            TooMuchError: There was not as much.
        """
        self.left -= cost
        if self.left < 0:
            raise TooMuchError

    def spend_text(self, length: int) -> None:
        """Take from what is left what a text or bytes take.

        Raises:
            TooMuchError: There was not as much.
        """
        self.spend(length)

    def leaf(self, value: object) -> AnyValue:
        """Return the form of a value that contains no others."""
        self.spend(self.leaf_cost)
        form: Any = encode_leaf(value)
        return form  # type: ignore[no-any-return]  # a leaf has a form

    def text(self, text: str) -> AnyValue:
        """Return the form of a text."""
        if len(text) > self.limits.max_text:
            self.spend_text(self.limits.max_text)
            return self.refer(references.of_text(text, self.limits, self.budget))
        self.spend_text(len(text))
        return self.limits.text(text)

    def binary(self, data: bytes | bytearray) -> AnyValue:
        """Return the form of bytes."""
        if len(data) > self.limits.max_text:
            self.spend_text(self.limits.max_text)
            return self.refer(references.of_bytes(data, self.limits, self.budget))
        self.spend_text(len(data))
        return self.limits.redaction.binary(bytes(data))

    def container(self, value: Any, base: type[Any]) -> AnyValue:
        """Return the form of a container, as its built-in class lists it."""
        length = base.__len__(value)
        if id(value) in self.path or len(self.path) >= self.limits.max_depth:
            return self.refer(Reference(anatomy.class_name(type(value)), preview="…"))
        if length > self.limits.max_items * self.width:
            return self.large(value)
        self.spend(self.node_cost)
        self.path.add(id(value))
        try:
            if base is dict:
                return self._map([*dict.items(value)])
            return _BUILDERS[base](self._items([*base.__iter__(value)]))
        finally:
            self.path.discard(id(value))

    def _items(self, items: list[Any]) -> list[AnyValue]:
        kinds = {*map(id, map(type, items))}
        self.spend(_IN_BULK * len(items))
        if kinds <= _AS_THEY_ARE:
            return items
        if kinds == _INTS and min(items) >= _INT64_MIN and max(items) <= _INT64_MAX:
            return items
        if kinds == _TEXTS and self._are_plain(items):
            return items
        self.spend(self.leaf_cost * len(items) - _IN_BULK * len(items))
        form = self.form
        return [form(item) for item in items]

    def _are_plain(self, texts: list[str]) -> bool:
        """Say whether texts are kept as they are; takes their length from what is left where they are."""
        if max(map(len, texts)) > self.limits.max_text:
            return False
        length = sum(map(len, texts))
        self.spend_text(length)
        joined = "".join(texts)
        if joined.isascii() and self.limits.redaction.text(joined) == joined:
            return True
        self.spend_text(-length)
        return False

    def _map(self, entries: list[tuple[Any, Any]]) -> AnyValue:
        self.spend(self.leaf_cost * len(entries))
        redaction, form = self.limits.redaction, self.form
        plain = redaction.plain_names
        result: dict[str, AnyValue] = {}
        for key, item in entries:
            if type(key) is not str or (key not in plain and not redaction.is_plain_name(key)):
                return encode_map([(form(key), self._under(key, item)) for key, item in entries])
            kind = type(item)
            # What is most frequent without a call.
            result[key] = item if kind is float or kind is bool or item is None else form(item)
        return result

    def _under(self, key: object, item: object) -> AnyValue:
        """Return the form of what has a name."""
        if item is not None and type(item) is not bool and self.limits.redaction.hides(anatomy.name_of(key)):
            return self.hidden()
        return self.form(item)

    def hidden(self) -> AnyValue:
        """Return the form of a secret."""
        return REDACTED

    def refer(self, reference: Reference) -> AnyValue:
        """Return the form of a reference."""
        return reference.to_value()

    def _other(self, value: object, kind: type) -> AnyValue:
        number = arrays.scalar(value)
        if number is not NotImplemented:
            return self.form(number)
        if issubclass(kind, enum.Enum):
            return self._member(value, kind)
        for base, take in _SUBCLASS_TAKERS.items():
            if issubclass(kind, base):
                return take(self, value)
        self.objects.append(value)
        self.spend(_REFERENCE_COST)
        known = references.of_library_value(value, self.limits, self.budget)
        return self._instance(value, kind) if known is None else self.refer(known)

    def _member(self, value: object, kind: type) -> AnyValue:
        name, content = (object.__getattribute__(value, key) for key in ("_name_", "_value_"))
        return encode_object(anatomy.class_name(kind), {"name": self.form(name), "value": self._under(name, content)})

    def given(self, reference: Reference) -> AnyValue:
        """Return the form of a reference that the program itself passes around."""
        self.spend(_REFERENCE_COST)
        uri = reference.uri
        return self.refer(reference if uri is None else replace(reference, uri=self.limits.redaction.text(uri)))

    def moment(self, value: dt.datetime) -> AnyValue:
        """Return the form of a moment, of a class of a library's own."""
        if anatomy.class_name(type(value)).endswith(_NOT_A_TIME):
            return self.refer(references.opaque(value))
        return self.leaf(dt.datetime.fromisoformat(dt.datetime.isoformat(value)))

    def tuple_or_record(self, value: tuple[object, ...]) -> AnyValue:
        """Return the form of an instance of a subclass of tuple: by its names where it has any."""
        names = anatomy.class_attribute(type(value), "_fields")
        items = [*tuple.__iter__(value)]
        if type(names) is not tuple or len(names) != len(items) or any(type(name) is not str for name in names):
            return self.container(value, tuple)
        return self._within(value, lambda: self.as_object(type(value), dict(zip(names, items, strict=True))))

    def _instance(self, value: object, kind: type) -> AnyValue:
        found = anatomy.fields(value)
        deep = id(value) in self.path or len(self.path) >= self.limits.max_depth
        if deep or len(found) > self.limits.max_items:
            return self.refer(references.opaque(value))
        if anatomy.kind_of(kind).is_record:
            return self._within(value, lambda: self.as_object(kind, found))
        return self._within(value, lambda: self._by_fields(kind, found))

    def _within(self, value: object, make: Callable[[], AnyValue]) -> AnyValue:
        self.path.add(id(value))
        try:
            return make()
        finally:
            self.path.discard(id(value))

    def as_object(self, kind: type, found: dict[str, object]) -> AnyValue:
        """Return the form of an instance by its fields."""
        self.spend(self.leaf_cost * len(found))
        return encode_object(anatomy.class_name(kind), {name: self._under(name, item) for name, item in found.items()})

    def _by_fields(self, kind: type, found: dict[str, object]) -> AnyValue:
        """Return the reference to an instance, with a hash where its fields are all there is and all are known."""
        if self.limits.redaction.hides(anatomy.class_name(kind).rpartition(".")[2]):
            return self.refer(Reference(anatomy.class_name(kind)))
        known = uri = None
        if found and anatomy.kind_of(kind).is_all_python:
            known, uri = self.hash_by(lambda walk: walk.as_object(kind, found))
        text = preview.of_object(kind, found, self.limits.redaction)
        return self.refer(Reference(anatomy.class_name(kind), known, preview=text, uri=uri))

    def large(self, value: Any) -> AnyValue:
        """Return the reference to a container that is too large to be kept."""
        kind = type(value)
        bases: tuple[type[Any], ...] = (*_BUILDERS, dict)
        base = next((base for base in bases if issubclass(kind, base)), None)
        if base is None:
            return self.refer(Reference(anatomy.class_name(kind)))
        items: Iterable[Any] = dict.items(value) if base is dict else base.__iter__(value)
        redaction = self.limits.redaction
        text = preview.of_fields(items, redaction, _MAP) if base is dict else preview.of_items(items, redaction)
        known, uri = self.hash_by(lambda walk: walk.form(value))
        shape = (base.__len__(value),)
        return self.refer(Reference(anatomy.class_name(kind), known, shape=shape, preview=text, uri=uri))

    def hash_by(self, form: Callable[[Walk], AnyValue]) -> tuple[str | None, str | None]:
        """Return the hash of a form, and where it is kept, where all of it can be known within the limits."""
        if self._hashing is None:
            # One for the whole walk, so that what it may cost is bounded for the whole.
            self._hashing = _HashWalk(self)
        try:
            return self._hashing.hash_by(form)
        except TooMuchError:
            return None, None


class _HashWalk(Walk):
    """A walk for the hash alone: wider, and over as soon as something is met that cannot be known whole."""

    leaf_cost = 64
    node_cost = 256
    width = 8

    def __init__(self, outer: Walk) -> None:
        """Go on at the place of the outer walk, with the same budget of hashes."""
        super().__init__(outer.limits, [])
        self.left = _SMALL_WALK
        self._more = outer.limits.max_value * (_MORE if outer.limits.content is None else _MORE_KEPT)
        self.path = outer.path
        self._budget = outer.budget

    def spend(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0 and self._more and self.budget.may_last():
            self.left += self._more
            self._more = 0
        if self.left < 0:
            raise TooMuchError

    def spend_text(self, length: int) -> None:
        self.spend(length // 8)

    def text(self, text: str) -> AnyValue:
        return self._if_whole(super().text(text), text)

    def binary(self, data: bytes | bytearray) -> AnyValue:
        return self._if_whole(super().binary(data), data)

    def _if_whole(self, form: AnyValue, value: object) -> AnyValue:
        """Return a form, where no secret was left out of it."""
        if type(form) in {str, bytes} and form != value:
            raise TooMuchError
        return form

    def hidden(self) -> AnyValue:
        raise TooMuchError

    def refer(self, reference: Reference) -> AnyValue:
        if reference.hash is None or not reference.hash.startswith(SHA256_PREFIX):
            raise TooMuchError
        return reference.to_value()

    def large(self, value: Any) -> AnyValue:  # noqa: ARG002  # whatever it is
        raise TooMuchError

    def hash_by(self, form: Callable[[Walk], AnyValue]) -> tuple[str | None, str | None]:
        made = form(self)
        known = content_hash(made)
        content = self.limits.content
        return known, keep_form(content, known, made) if content is not None else None


_AS_THEY_ARE: Final = frozenset(map(id, (float, bool, type(None))))
_INTS: Final = frozenset({id(int)})
_TEXTS: Final = frozenset({id(str)})
_LEAVES: Final = frozenset(map(id, LEAF_TYPES))
_BUILDERS: Final[dict[type[Any], Callable[[list[AnyValue]], AnyValue]]] = {
    list: lambda forms: forms,
    tuple: encode_tuple,
    set: encode_set,
    frozenset: functools.partial(encode_set, frozen=True),
    collections.deque: lambda forms: forms,
}
# By the ids of classes that live for ever: a class itself, as a key, would be asked for its hash.
_TAKERS: Final[dict[int, Callable[[Walk, Any], AnyValue]]] = {
    id(str): lambda walk, value: walk.text(value),
    id(bytes): lambda walk, value: walk.binary(value),
    id(bytearray): lambda walk, value: walk.binary(value),
    id(Reference): lambda walk, value: walk.given(value),
    **{id(base): functools.partial(Walk.container, base=base) for base in (*_BUILDERS, dict)},
}
_SUBCLASS_TAKERS: Final[dict[type, Callable[[Walk, Any], AnyValue]]] = {
    str: lambda walk, value: walk.text(str.__str__(value)),
    int: lambda walk, value: walk.leaf(int.__int__(value)),
    float: lambda walk, value: walk.form(float.__float__(value)),
    bytes: lambda walk, value: walk.binary(bytes.__getitem__(value, slice(None))),
    dt.datetime: Walk.moment,
    tuple: Walk.tuple_or_record,
    **{base: functools.partial(Walk.container, base=base) for base in (*_BUILDERS, dict) if base is not tuple},
}
