"""The data of a record, and the keys by which the same datum is found elsewhere.

Writers index `data_keys`; the lineage of `query` looks them up. A key begins with how it is known:

- ``content:<sha256>``: the full hash of the content. Only where equality means something: canonical size of 16 bytes or
  more, or a float with six or more significant digits.
- ``file:<sha256>:<uri>``: a file by path and content.
- ``name:<run>:<role>:<sha256>``: the value of a role within a run, of any size; ``:`` and ``%`` in the run are quoted.

No key is made of a value that is, or contains, a reference without full hash: neither a fingerprint nor a preview is
evidence of equality. Elements of containers count as members to depth 2, by content and by file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from provtel_model.anyvalue import TYPE_KEY, AnyValue
from provtel_model.compiled import load
from provtel_model.hashing import (
    SHA256_PREFIX,
    canonical_bytes,
    canonical_scalar,
    content_hash,
    digest_bytes,
    hash_bytes,
)
from provtel_model.record import PlainRecord, run_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MEMBER_DEPTH: Final = 2
MAX_MEMBERS: Final = 1000
MIN_CANONICAL_SIZE: Final = 16
MIN_SIGNIFICANT_DIGITS: Final = 6

CONTENT: Final = "content"
FILE: Final = "file"
NAME: Final = "name"

_SCALARS: Final = frozenset({type(None), bool, int, float, str, bytes})


class Datum(NamedTuple):
    """A value in a role, or a member of one.

    Args:
        role: The role it was used or generated in.
        path: Where it lies inside the value of the role; empty for the value itself.
        value: The datum.
    """

    role: str
    path: tuple[str | int, ...]
    value: AnyValue

    @property
    def label(self) -> str:
        """Return the role and the path as people write them: ``results[3].score``."""
        if not self.path:
            return self.role
        return self.role + "".join([f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path])


def data(values: Mapping[str, AnyValue]) -> Iterator[Datum]:
    """Yield the values of `values` by role, each followed by its members to depth 2, at most 1,000 a role."""
    for role, value in values.items():
        budget = MAX_MEMBERS
        for datum in _with_members(Datum(role, (), value), MEMBER_DEPTH):
            yield datum
            budget -= 1
            if not budget:
                break


def data_keys(plain: PlainRecord, values: Mapping[str, AnyValue]) -> set[tuple[str, str]]:
    """Return ``(key, role)`` of every datum in `values`, one of the two value maps of `plain`."""
    run = run_of(plain)
    return {(key, role) for role, value in values.items() for key in _keys(run, role, value)}


def scalar_digest(value: AnyValue) -> tuple[bytes, bool] | None:
    """Return the digest in the keys of a scalar, and whether it has one by content; ``None`` for anything else.

    Equal to what `data_keys` has, for indexes that need no text of it.
    """
    if _compiled is not None:
        found: tuple[bytes, bool] = _compiled.scalar_digest(value)
        if found is not NotImplemented:
            return found
    if type(value) not in _SCALARS:
        return None
    canonical = canonical_scalar(value)
    return digest_bytes(canonical), _is_telling(value, canonical)


def name_key(run: str, role: str, value: AnyValue) -> str:
    """Return the key of a role's value within a run; no store has it where `data_keys` does not give it."""
    return f"{NAME}:{_quoted(run)}:{role}:{content_hash(value)}"


def content_key(value: AnyValue) -> str | None:
    """Return the key of a datum by content, or ``None`` where equality would mean nothing."""
    scalar = scalar_digest(value)  # as most data are
    if scalar is not None:
        return f"{CONTENT}:{SHA256_PREFIX}{scalar[0].hex()}" if scalar[1] else None
    if isinstance(value, dict) and value.get(TYPE_KEY) == "reference":
        return _reference_key(value)
    canonical = canonical_bytes(value)
    if _is_telling(value, canonical) and is_known_whole(value):
        return f"{CONTENT}:{hash_bytes(canonical)}"
    return None


def file_key(value: AnyValue) -> str | None:
    """Return the key of a file by path and content, or ``None`` for anything else."""
    if not isinstance(value, dict) or value.get(TYPE_KEY) != "reference" or value.get("type") != "file":
        return None
    known, uri = value.get("hash"), value.get("uri")
    if isinstance(known, str) and isinstance(uri, str) and known.startswith(SHA256_PREFIX):
        return f"{FILE}:{known}:{uri}"
    return None


def _reference_key(value: Mapping[str, AnyValue]) -> str | None:
    known, nbytes = value.get("hash"), value.get("nbytes")
    if not isinstance(known, str) or not known.startswith(SHA256_PREFIX):
        return None
    if isinstance(nbytes, int) and nbytes < MIN_CANONICAL_SIZE:
        return None
    return f"{CONTENT}:{known}"


def _keys(run: str, role: str, value: AnyValue) -> list[str]:
    scalar = scalar_digest(value)  # most values are scalars, and a store asks this of every one
    if scalar is None:
        named = [name_key(run, role, value)] if is_known_whole(value) else []
        found = [key for datum in data({role: value}) for key in (content_key(datum.value), file_key(datum.value))]
        return named + [key for key in found if key]
    digest, is_telling = scalar
    known = SHA256_PREFIX + digest.hex()
    name = f"{NAME}:{_quoted(run)}:{role}:{known}"
    return [name, f"{CONTENT}:{known}"] if is_telling else [name]


def _quoted(run: str) -> str:
    return run.replace("%", "%25").replace(":", "%3A") if ":" in run or "%" in run else run


def is_known_whole(value: AnyValue) -> bool:
    """Say whether the hash of a value is that of all its content: every reference in it carries its full hash."""
    if isinstance(value, list):
        return all(map(is_known_whole, value))
    if not isinstance(value, dict):
        return True
    if value.get(TYPE_KEY) == "reference":
        known = value.get("hash")
        return isinstance(known, str) and known.startswith(SHA256_PREFIX)
    return all(map(is_known_whole, value.values()))


def _is_telling(value: AnyValue, canonical: bytes) -> bool:
    return len(canonical) >= MIN_CANONICAL_SIZE or (isinstance(value, float) and _is_distinctive(value))


def _is_distinctive(value: float) -> bool:
    """Say whether five significant digits do not tell a number from all others."""
    return float(f"{value:.{MIN_SIGNIFICANT_DIGITS - 1}g}") != value and value == value  # noqa: PLR0124  # no NaN


def _with_members(datum: Datum, depth: int) -> Iterator[Datum]:
    yield datum
    if depth and isinstance(datum.value, list | dict):
        for step, member in _members(datum.value):
            inner = Datum(datum.role, (*datum.path, step), member)
            if isinstance(member, list | dict):
                yield from _with_members(inner, depth - 1)
            else:
                yield inner


def _members(value: AnyValue) -> Iterator[tuple[str | int, AnyValue]]:
    if isinstance(value, list):
        yield from enumerate(value)
    elif isinstance(value, dict):
        yield from _members_of_map(value)


def _members_of_map(value: Mapping[str, AnyValue]) -> Iterator[tuple[str | int, AnyValue]]:
    if TYPE_KEY not in value:
        yield from value.items()
    elif isinstance(items := value.get("items"), list):
        yield from enumerate(items)
    elif isinstance(fields := value.get("fields"), dict):
        yield from fields.items()
    elif isinstance(entries := value.get("entries"), list):
        for number, entry in enumerate(entries):
            match entry:
                case [str() | int() as key, member]:
                    yield key, member
                case [_, member]:
                    yield number, member


_compiled: Final = load("provtel_model._digest")
