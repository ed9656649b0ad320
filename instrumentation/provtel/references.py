"""References: what a record keeps of a value that is large or opaque."""

from __future__ import annotations

import hashlib
import io
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provtel_model.hashing import FINGERPRINT_PREFIX, canonical_bytes, content_hash, hash_bytes
from provtel_model.values import Reference, encode_leaf

from provtel import arrays, preview
from provtel.anatomy import class_name
from provtel.content import BINARY, TEXT

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue

    from provtel.hashing_time import HashBudget
    from provtel.redaction import Redaction
    from provtel.snapshot import Snapshots

_SAMPLE: Final = 2 * 2**10
_LOOKED_AT: Final = 400
_SHOWN_BYTES: Final = 40
_FILES: Final = io.IOBase.__bases__[0]
"""The class of all files that is no abstract one: those ask a class for its hash."""
_NAMED: Final = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType, type)


def of_text(text: str, limits: Snapshots, budget: HashBudget) -> Reference:
    """Return the reference to a long text."""
    known = _hash_of_text(text, budget)
    return Reference(
        "str",
        hash=known or fingerprint("str", len(text), _ends(text)),
        nbytes=len(text) if text.isascii() else None,
        preview=preview.of_text(text, limits.redaction),
        uri=_keep_text(known, text, limits),
    )


def _hash_of_text(text: str, budget: HashBudget) -> str | None:
    # What is not ASCII has up to four bytes a character, and takes time to find out.
    if not budget.take(len(text) if text.isascii() else 4 * len(text)):
        return None
    form: Any = encode_leaf(text)
    return content_hash(form)


def _keep_text(known: str | None, text: str, limits: Snapshots) -> str | None:
    if limits.content is None or limits.redaction.text(text) != text:
        return None
    data = text.encode("utf-8", "surrogatepass")
    return limits.content.keep(known, len(data), TEXT, lambda file: file.write(data))


def of_bytes(data: bytes | bytearray, limits: Snapshots, budget: HashBudget) -> Reference:
    """Return the reference to long bytes."""
    # The canonical form in two parts, so that it need not be copied.
    known = hash_bytes(b"b%d:" % len(data), data) if budget.take(len(data)) else None
    start = limits.redaction.binary(bytes(data[:_LOOKED_AT]))
    return Reference(
        "bytes",
        hash=known or fingerprint("bytes", len(data), _ends(data)),
        nbytes=len(data),
        preview=preview.cut(repr(start[:_SHOWN_BYTES]) + "…"),
        uri=_keep_bytes(known, data, limits),
    )


def _keep_bytes(known: str | None, data: bytes | bytearray, limits: Snapshots) -> str | None:
    if limits.content is None or limits.redaction.binary(bytes(data)) != data:
        return None
    return limits.content.keep(known, len(data), BINARY, lambda file: file.write(data))


def of_library_value(value: object, limits: Snapshots, budget: HashBudget) -> Reference | None:
    """Return the reference to a value whose kind is known: an array, a frame, a tensor, a file, an exception."""
    found = arrays.reference(value, budget, limits.content)
    if found is not None:
        return found
    kind = type(value)
    if issubclass(kind, _NAMED):
        return Reference(class_name(kind), preview=_qualified_name(value))
    if issubclass(kind, BaseException):
        return Reference(class_name(kind), preview=_message(value, limits.redaction))
    if issubclass(kind, _FILES):
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


def _message(error: Any, redaction: Redaction) -> str | None:
    arguments = BaseException.__dict__["args"].__get__(error)
    shown = [preview.of_scalar(item, redaction) for item in arguments if type(item) in {str, int, float, bool}]
    return preview.cut(", ".join(shown)) or None


def _address(handle: Any) -> str | None:
    # Only the standard library's own classes are asked: the name of another may be a property that does anything.
    name = handle.name if type(handle).__module__ == "_io" and hasattr(handle, "name") else None
    return Path(name).absolute().as_uri() if type(name) is str and not name.startswith("<") else None
