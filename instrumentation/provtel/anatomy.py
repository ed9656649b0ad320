"""What an instance is made of, read without running code of its class.

``value.x`` may run a property or ``__getattr__``, ``isinstance`` a property called ``__class__``, ``cls.__name__`` a
metaclass, and a class as a key the ``__hash__`` of one. These functions read what is there instead.
"""

from __future__ import annotations

import enum
import struct
import types
from dataclasses import dataclass
from typing import Any, Final

_of_type: Final = type.__getattribute__
_HEAP_TYPE: Final = 1 << 9
_PROGRAM: Final = "__main__"
_PROGRAM_IN_WORKER: Final = "__mp_main__"
_PYTHON_BUILTINS: Final = "builtins"
_RECORD_MARKS: Final = frozenset({"__dataclass_fields__", "__attrs_attrs__", "__pydantic_fields__", "model_fields"})
_RECORD_TYPES: Final = frozenset({"types.SimpleNamespace", "argparse.Namespace"})
_DICTIONARIES: Final = frozenset({types.GetSetDescriptorType, types.MemberDescriptorType})
_MARKS_OF_C: Final = ("__dictoffset__", "__weaklistoffset__", "__vectorcalloffset__")
"""What the class statement never makes."""
_POINTER: Final = struct.calcsize("P")
_MAX_KINDS: Final = 1000


@dataclass(frozen=True, slots=True)
class Kind:
    """What all instances of a class have in common.

    Args:
        cls: The class.
        name: Its qualified name; of a built-in one without its module.
        slots: Its slots, by name.
        dictionary: Gives the dictionary of an instance; ``None`` where there is none, or a property in its place.
        is_record: Its fields are all there is: a dataclass, an attrs class, a pydantic model.
        is_all_python: An instance can have no state but its fields; what is written in C may have any.
    """

    cls: type
    name: str
    slots: tuple[tuple[str, types.MemberDescriptorType], ...]
    dictionary: types.GetSetDescriptorType | types.MemberDescriptorType | None
    is_record: bool
    is_all_python: bool


_known: Final[dict[int, Kind]] = {}


def kind_of(kind: type) -> Kind:
    """Return what is known of a class, which is found out once."""
    found = _known.get(id(kind))  # not the class itself: as a key it would be asked for its hash
    if found is None or found.cls is not kind:
        # Programs may make classes without end; what is forgotten here is only found out once more.
        if len(_known) >= _MAX_KINDS:
            _known.clear()
        found = _known[id(kind)] = _find_out(kind)
    return found


def _find_out(kind: type) -> Kind:
    slots = {
        name: member
        for base in reversed(bases(kind))
        for name, member in _of_type(base, "__dict__").items()
        if type(member) is types.MemberDescriptorType and base is not type
    }
    name = _name(kind)
    marked = any(mark in _of_type(base, "__dict__") for base in bases(kind) for mark in _RECORD_MARKS)
    dictionary = class_attribute(kind, "__dict__")
    if type(dictionary) not in _DICTIONARIES:
        dictionary = None
    return Kind(kind, name, (*slots.items(),), dictionary, marked or name in _RECORD_TYPES, _is_all_python(kind))


def _is_all_python(kind: type) -> bool:
    """Say whether an instance has no more memory than its fields take, so that it can have no other state."""
    if not all(_of_type(base, "__flags__") & _HEAP_TYPE for base in bases(kind)[:-1]):
        return False
    spaces = [_of_type(base, "__dict__") for base in bases(kind)[:-1]]
    if any(mark in space for space in spaces for mark in _MARKS_OF_C):
        return False
    slots = sum(type(member) is types.MemberDescriptorType for space in spaces for member in space.values())
    # A dictionary and the list of weak references are a pointer each, where they do not lie in front of the instance.
    pointers = slots + sum(_of_type(kind, offset) > 0 for offset in ("__dictoffset__", "__weakrefoffset__"))
    return bool(_of_type(kind, "__basicsize__") == object.__basicsize__ + _POINTER * pointers)


def bases(kind: type) -> tuple[type, ...]:
    """Return a class and its bases, in the order in which attributes are looked up."""
    found: tuple[type, ...] = _of_type(kind, "__mro__")
    return found


def class_name(kind: type) -> str:
    """Return the qualified name of a class; of a built-in one without its module."""
    return kind_of(kind).name


def _name(kind: type) -> str:
    module = module_name(_text(kind, "__module__"))
    name = _text(kind, "__qualname__")
    return name if module in {_PYTHON_BUILTINS, ""} else f"{module}.{name}"


def module_name(module: str) -> str:
    """Return a module's name as the user's program knows it.

    A worker process that was not forked imports the program under another name; what it makes is still the same.
    """
    return _PROGRAM if module == _PROGRAM_IN_WORKER else module


def class_attribute(kind: type, name: str) -> Any:
    """Return what a class or one of its bases keeps under a name, or ``None``."""
    for base in bases(kind):
        namespace = _of_type(base, "__dict__")
        if name in namespace:
            return namespace[name]
    return None


def name_of(key: object) -> str:
    """Return what a key of a map says as a name: text of any kind, bytes, a member of an enumeration; else nothing."""
    kind = type(key)
    if kind is str:
        return key  # type: ignore[return-value]  # exactly a str
    if issubclass(kind, enum.Enum):
        name = object.__getattribute__(key, "_name_")
        return name if type(name) is str else ""
    if issubclass(kind, str):
        return str.__str__(key)
    return bytes.decode(key, "latin-1") if issubclass(kind, bytes) else ""  # type: ignore[arg-type]  # bytes


def fields(value: object) -> dict[str, object]:
    """Return the fields that an instance has, in its dictionary and its slots; names of dunder form are left out."""
    found: dict[str, object] = {}
    kind = kind_of(type(value))
    for name, member in kind.slots:
        _put_slot(found, name, member, value)
    own = _dictionary(kind, value)
    found.update((name, item) for name, item in list(own.items()) if type(name) is str)
    return {name: item for name, item in found.items() if not name.startswith("__")}


def _put_slot(found: dict[str, object], name: str, member: types.MemberDescriptorType, value: object) -> None:
    try:
        found[name] = member.__get__(value)
    except AttributeError:
        return  # a slot that was never filled


def _dictionary(kind: Kind, value: object) -> dict[str, object]:
    try:
        found = kind.dictionary.__get__(value) if kind.dictionary is not None else None
    except AttributeError:
        return {}
    return found if type(found) is dict else {}


def _text(kind: type, name: str) -> str:
    try:
        found = _of_type(kind, name)
    except AttributeError:
        return ""
    return found if type(found) is str else ""
