"""References: what a record keeps of a value that is large or opaque."""

from __future__ import annotations

import hashlib
import io
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provtel_model.hashing import FINGERPRINT_PREFIX, canonical_bytes, content_hash
from provtel_model.values import Reference, encode_leaf

from provtel import arrays, preview
from provtel.anatomy import class_name

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue

    from provtel.redaction import Redaction

_SAMPLE: Final = 64 * 2**10
_NAMED: Final = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType, type)


def of_text(text: str, redaction: Redaction) -> Reference:
    """Return the reference to a long text."""
    form: Any = encode_leaf(text) if len(text) <= arrays.MAX_HASHED else None
    return Reference(
        "str",
        hash=content_hash(form) if form is not None else fingerprint("str", len(text), _ends(text)),
        nbytes=len(text) if text.isascii() else None,
        preview=preview.cut(redaction.text(text[: 2 * preview.LONGEST])).encode("utf-8", "replace").decode(),
    )


def of_bytes(data: bytes | bytearray) -> Reference:
    """Return the reference to long bytes."""
    whole = len(data) <= arrays.MAX_HASHED
    return Reference(
        "bytes",
        hash=content_hash(bytes(data)) if whole else fingerprint("bytes", len(data), _ends(data)),
        nbytes=len(data),
        preview=preview.cut(repr(bytes(data[:40])) + "…"),
    )


def of_library_value(value: object, budget: arrays.HashBudget) -> Reference | None:
    """Return the reference to a value whose kind is known: an array, a frame, a tensor, a file, an exception."""
    found = arrays.reference(value, budget)
    if found is not None:
        return found
    kind = type(value)
    if issubclass(kind, _NAMED):
        return Reference(class_name(kind), preview=_qualified_name(value))
    if issubclass(kind, BaseException):
        return Reference(class_name(kind), preview=_message(value))
    if issubclass(kind, io.IOBase):
        return Reference(class_name(kind), uri=_address(value))
    return None


def opaque(value: object) -> Reference:
    """Return the reference to a value of which nothing is known but its class."""
    return Reference(class_name(type(value)))


def fingerprint(kind: str, length: int, sample: AnyValue) -> str:
    """Return the fingerprint of content by its kind, its length and a sample of it; never evidence of equality."""
    return FINGERPRINT_PREFIX + hashlib.sha256(canonical_bytes([kind, length, sample])).hexdigest()


def _ends(content: Any) -> AnyValue:
    # Of text and of bytes alike; what UTF-8 cannot say is sampled as the tag for such text.
    middle = len(content) // 2
    parts = (content[:_SAMPLE], content[middle : middle + _SAMPLE], content[-_SAMPLE:])
    forms: list[Any] = [bytes(part) if isinstance(part, bytes | bytearray) else encode_leaf(part) for part in parts]
    return forms


def _qualified_name(value: Any) -> str | None:
    kind = type(value)
    if issubclass(kind, type):
        return class_name(value)
    if kind is types.MethodType:
        return _qualified_name(value.__func__)
    if kind is types.ModuleType:
        return preview.cut(str(value.__dict__.get("__name__")))
    if kind in {types.FunctionType, types.BuiltinFunctionType}:
        return preview.cut(f"{value.__module__}.{value.__qualname__}")
    return None


def _message(error: Any) -> str | None:
    arguments = BaseException.__dict__["args"].__get__(error)
    return preview.cut(", ".join(repr(item) for item in arguments if type(item) in {str, int, float, bool})) or None


def _address(handle: Any) -> str | None:
    # Only the standard library's own classes are asked: the name of another may be a property that does anything.
    name = handle.name if type(handle).__module__ == "_io" and hasattr(handle, "name") else None
    return Path(name).absolute().as_uri() if type(name) is str and not name.startswith("<") else None
