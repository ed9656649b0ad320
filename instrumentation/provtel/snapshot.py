"""Values as they were: copies into `AnyValue` form, bounded in depth, width and size, with secrets left out.

No code of a value's own class runs: neither its ``__repr__`` nor its ``__eq__``, ``__iter__`` or ``__getattr__``. So a
value can neither break the program through us nor notice that it was looked at.
"""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import enum
import functools
from typing import TYPE_CHECKING, Any, Final

from provtel_model.hashing import SHA256_PREFIX, content_hash
from provtel_model.values import (
    Reference,
    encode_leaf,
    encode_map,
    encode_object,
    encode_set,
    encode_tuple,
)

from provtel import anatomy, arrays, preview, references
from provtel.redaction import REDACTED, Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provtel_model.anyvalue import AnyValue

    from provtel.settings import Settings

_WIDE: Final = 8
"""What is this many times larger than a record may hold is still read whole, for its hash."""
_LEAF_SIZE: Final = 8
_NOT_A_TIME: Final = ".NaTType"
"""The class of what pandas has for a moment that is missing; asked like a moment, it says the year 1."""


class Snapshots:
    """Takes snapshots of values within the limits of the settings.

    Args:
        settings: Say how much of a value is kept, and which names hide secrets.
    """

    def __init__(self, settings: Settings) -> None:
        """Keep the limits at hand."""
        self.max_depth = settings.max_depth
        self.max_items = settings.max_items
        self.max_text = settings.max_text
        self.max_value = settings.max_value
        self.redaction = Redaction(settings.redact)

    def of_role(self, role: str, value: object, objects: list[object] | None = None) -> AnyValue:
        """Return the AnyValue form of the value in a role; never raises.

        Args:
            role: Name of the role; one that hides a secret hides the value.
            value: Any value.
            objects: Collects the instances that were met and that are known by a reference.
        """
        if self.redaction.hides(role) and value is not None and type(value) is not bool:
            return REDACTED
        return self.of(value, objects)

    def of(self, value: object, objects: list[object] | None = None) -> AnyValue:
        """Return the AnyValue form of a value; never raises."""
        try:
            if type(value) is str:
                return self.text(value)
            return _Walk(self, [] if objects is None else objects).whole(value)
        except Exception:  # noqa: BLE001  # whatever a value does, the record says at least what it was
            return references.opaque(value).to_value()

    def text(self, text: str) -> AnyValue:
        """Return the form of a text."""
        if len(text) > self.max_text:
            return references.of_text(text, self.redaction).to_value()
        return leaf(self.redaction.text(text))


class _TooLargeError(Exception):
    """A value has more content than the limits allow."""


class _Walk:
    """One walk through one value.

    Args:
        limits: Say how far it goes.
        objects: Collects the instances that were met.
        outer: The walk that this one is a wider part of, with whose place and budget it goes on.
    """

    def __init__(self, limits: Snapshots, objects: list[object], outer: _Walk | None = None) -> None:
        self._limits = limits
        self._objects = objects
        self._width = 1 if outer is None else _WIDE
        self._left = limits.max_value * self._width
        self.hashing: arrays.HashBudget = arrays.HashBudget() if outer is None else outer.hashing
        self.path: set[int] = set() if outer is None else outer.path
        self._complete = True
        self._wide: _Walk | None = None

    def whole(self, value: object) -> AnyValue:
        """Return the form of the value; of one that is too large a reference."""
        try:
            return self.form(value)
        except _TooLargeError:
            return self._large(value)

    def form(self, value: object) -> AnyValue:
        self._spend(_LEAF_SIZE)
        kind = type(value)
        take = _TAKERS.get(kind)
        if take is not None:
            return take(self, value)
        form: Any = encode_leaf(value)
        return self._other(value, kind) if form is NotImplemented else form

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _TooLargeError

    def text(self, text: str) -> AnyValue:
        self._spend(min(len(text), self._limits.max_text))
        if len(text) > self._limits.max_text:
            return self._refer(references.of_text(text, self._limits.redaction))
        return self._limits.text(text)

    def binary(self, data: bytes | bytearray) -> AnyValue:
        self._spend(min(len(data), self._limits.max_text))
        return self._refer(references.of_bytes(data)) if len(data) > self._limits.max_text else bytes(data)

    def container(self, value: Any, base: type[Any]) -> AnyValue:
        if id(value) in self.path or len(self.path) >= self._limits.max_depth:
            return self._refer(Reference(anatomy.class_name(type(value)), preview="…"))
        if base.__len__(value) > self._limits.max_items * self._width:
            return self._large(value)
        with self._inside(value):
            if base is dict:
                return encode_map([self._entry(*item) for item in [*dict.items(value)]])
            return _BUILDERS[base](self._items([*base.__iter__(value)]))

    def _items(self, items: list[object]) -> list[AnyValue]:
        if {*map(type, items)} == {float}:
            self._spend(_LEAF_SIZE * len(items))
            return items  # type: ignore[return-value]  # each is a float
        return [self.form(item) for item in items]

    def _entry(self, key: object, item: object) -> tuple[AnyValue, AnyValue]:
        if type(key) is str and item is not None and type(item) is not bool and self._limits.redaction.hides(key):
            self._complete = False
            return self.form(key), REDACTED
        return self.form(key), self.form(item)

    @contextlib.contextmanager
    def _inside(self, value: object) -> Iterator[None]:
        self.path.add(id(value))
        try:
            yield
        finally:
            self.path.discard(id(value))

    def _refer(self, reference: Reference) -> AnyValue:
        known = reference.hash
        self._complete = self._complete and known is not None and known.startswith(SHA256_PREFIX)
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
        self._objects.append(value)
        known = references.of_library_value(value, self.hashing)
        return self._instance(value, kind) if known is None else self._refer(known)

    def _member(self, value: object, kind: type) -> AnyValue:
        name, content = (object.__getattribute__(value, key) for key in ("_name_", "_value_"))
        return encode_object(anatomy.class_name(kind), {"name": self.form(name), "value": self.form(content)})

    def moment(self, value: dt.datetime) -> AnyValue:
        if anatomy.class_name(type(value)).endswith(_NOT_A_TIME):
            return self._refer(references.opaque(value))
        return leaf(dt.datetime.fromisoformat(dt.datetime.isoformat(value)))

    def tuple_or_record(self, value: tuple[object, ...]) -> AnyValue:
        names = anatomy.class_attribute(type(value), "_fields")
        items = [*tuple.__iter__(value)]
        if type(names) is not tuple or len(names) != len(items):
            return self.container(value, tuple)
        with self._inside(value):
            return self.as_object(type(value), dict(zip(names, items, strict=True)))

    def _instance(self, value: object, kind: type) -> AnyValue:
        found = anatomy.fields(value)
        deep = id(value) in self.path or len(self.path) >= self._limits.max_depth
        if deep or len(found) > self._limits.max_items:
            return self._refer(references.opaque(value))
        with self._inside(value):
            return self.as_object(kind, found) if anatomy.is_record(kind) else self._by_fields(kind, found)

    def as_object(self, kind: type, found: dict[str, object]) -> AnyValue:
        return encode_object(
            anatomy.class_name(kind), {name: self._entry(name, item)[1] for name, item in found.items()}
        )

    def _by_fields(self, kind: type, found: dict[str, object]) -> AnyValue:
        """Return the reference to an instance, with a hash where its fields are all there is and all are known."""
        known = None
        if found and anatomy.is_all_python(kind):
            known = self.hash_by(lambda walk: walk.as_object(kind, found))
        text = preview.of_object(kind, found, self._limits.redaction)
        return self._refer(Reference(anatomy.class_name(kind), known, preview=text))

    def _large(self, value: Any) -> AnyValue:
        kind = type(value)
        bases: tuple[type[Any], ...] = (*_BUILDERS, dict)
        base = next((base for base in bases if issubclass(kind, base)), None)
        if base is None:
            return self._refer(Reference(anatomy.class_name(kind)))
        redaction = self._limits.redaction
        if base is dict:
            text = preview.of_fields(dict.items(value), redaction, ": ")
        else:
            text = preview.of_items(base.__iter__(value), redaction)
        known = self.hash_by(lambda walk: walk.form(value)) if self._width == 1 else None
        return self._refer(Reference(anatomy.class_name(kind), known, shape=(base.__len__(value),), preview=text))

    def hash_by(self, form: Callable[[_Walk], AnyValue]) -> str | None:
        """Return the hash of a form that a wider walk makes, where it is complete."""
        if self._width == 1:
            if self._wide is None:
                # One for the whole walk, so that what it may cost is bounded for the whole.
                self._wide = _Walk(self._limits, [], outer=self)
            try:
                return self._wide.hash_by(form)
            except _TooLargeError:
                return None
        before, self._complete = self._complete, True
        try:
            made = form(self)
            return content_hash(made) if self._complete else None
        finally:
            self._complete = before


def leaf(value: object) -> AnyValue:
    """Return the form of a value that contains no others."""
    form: Any = encode_leaf(value)
    return form  # type: ignore[no-any-return]  # a leaf has a form


_BUILDERS: Final[dict[type[Any], Callable[[list[AnyValue]], AnyValue]]] = {
    list: lambda forms: forms,
    tuple: encode_tuple,
    set: encode_set,
    frozenset: functools.partial(encode_set, frozen=True),
    collections.deque: lambda forms: forms,
}
_TAKERS: Final[dict[type, Callable[[_Walk, Any], AnyValue]]] = {
    str: _Walk.text,
    bytes: _Walk.binary,
    bytearray: _Walk.binary,
    **{base: functools.partial(_Walk.container, base=base) for base in (*_BUILDERS, dict)},
}
_SUBCLASS_TAKERS: Final[dict[type, Callable[[_Walk, Any], AnyValue]]] = {
    str: lambda walk, value: walk.text(str.__str__(value)),
    int: lambda walk, value: walk.form(int.__int__(value)),
    float: lambda walk, value: walk.form(float.__float__(value)),
    bytes: lambda walk, value: walk.binary(bytes.__getitem__(value, slice(None))),
    dt.datetime: _Walk.moment,
    tuple: _Walk.tuple_or_record,
    **{base: functools.partial(_Walk.container, base=base) for base in (*_BUILDERS, dict) if base is not tuple},
}
