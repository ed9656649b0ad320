"""The keys that lead to a record: 64 bits for its id, its parent, each link, and each datum that it used or generated.

A key is no evidence: whoever follows it compares the record itself.
"""

from __future__ import annotations

import re
from array import array
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from provtel_model.dataflow import CONTENT, data_keys, name_key, scalar_digest
from provtel_model.hashing import SHA256_PREFIX
from provtel_model.record import PlainRecord, record_id, run_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provtel_model.anyvalue import AnyValue

USED: Final = "u"
GENERATED: Final = "g"
PARENT: Final = "p"
LINK: Final = "l"

_LAST: Final = 2**64 - 1
_DIGITS: Final = 16  # of a hash that are its key
_CONTENT: Final = f"{CONTENT}:{SHA256_PREFIX}".removesuffix(":")
RECORD_ID: Final = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})")
"""The id of a record: its trace id and its span id."""


def mix(number: int) -> int:
    """Return a number of 64 bits as another, each bit of which depends on all of them (SplitMix64)."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _LAST
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _LAST
    return number ^ (number >> 31)


def id_key(trace_id: bytes, span_id: bytes) -> int:
    """Return the key of a record's id."""
    return mix(_trace(trace_id) ^ int.from_bytes(span_id, "big"))


def key_of_id(record_id: str) -> int | None:
    """Return the key of a record's id as a text; ``None`` where it is none."""
    match = RECORD_ID.fullmatch(record_id)
    return None if match is None else id_key(bytes.fromhex(match[1]), bytes.fromhex(match[2]))


@lru_cache(maxsize=4096)
def reference_key(letter: str, text: str) -> int:
    """Return the key by which a record is found that refers to another, as its `PARENT` or by a `LINK`."""
    key = key_of_id(text)
    return _digest(letter + text) if key is None else mix(key ^ ord(letter))


def data_key(letter: str, key: str) -> int:
    """Return the key by which a record is found that `USED` or `GENERATED` a datum.

    Args:
        letter: Which of the two.
        key: A key of `provtel_model.dataflow`. Most end with a hash; the end of it is as good as a hash of it.
    """
    prefix, _, last = key.rpartition(":")
    try:
        return _digest(letter + prefix) ^ int.from_bytes(bytes.fromhex(last[-_DIGITS:]), "big")
    except ValueError:
        return _digest(letter + key)


def packed_keys(plain: PlainRecord) -> bytes:
    """Return all keys of a record (Q): that of its id, and behind it the others in order."""
    own = id_key(bytes.fromhex(plain["trace_id"]), bytes.fromhex(plain["span_id"]))
    return array("Q", [own, *sorted(keys_of(plain) - {own})]).tobytes()


def keys_of(plain: PlainRecord) -> set[int]:
    """Return all keys of a record."""
    keys = {id_key(bytes.fromhex(plain["trace_id"]), bytes.fromhex(plain["span_id"]))}
    if "parent_id" in plain:
        keys.add(reference_key(PARENT, plain["parent_id"]))
    for link in plain.get("links", ()):
        keys.add(reference_key(LINK, record_id(link["trace_id"], link["span_id"])))
    for letter, values in ((USED, plain.get("used")), (GENERATED, plain.get("generated"))):
        if values:
            keys.update(_keys_of_data(letter, plain, values))
    return keys


def _keys_of_data(letter: str, plain: PlainRecord, values: Mapping[str, AnyValue]) -> Iterator[int]:
    """Yield what `data_key` makes of the keys of data; of scalars, which most data are, without their texts."""
    run = run_of(plain)
    for role, value in values.items():
        scalar = scalar_digest(value)
        if scalar is None:
            yield from compound_keys(letter, plain, role, value)
        else:
            digest, is_telling = scalar
            end = int.from_bytes(digest[-_DIGITS // 2 :], "big")
            yield name_part(letter, run, role) ^ end
            if is_telling:
                yield _digest(letter + _CONTENT) ^ end


def compound_keys(letter: str, plain: PlainRecord, role: str, value: AnyValue) -> list[int]:
    """Return the keys of a value in a role, whatever it is made of."""
    return [data_key(letter, key) for key, _ in data_keys(plain, {role: value})]


@lru_cache(maxsize=4096)
def name_part(letter: str, run: str, role: str) -> int:
    """Return what the keys of a role's values within a run have in common."""
    return _digest(letter + name_key(run, role, None).rpartition(":")[0])


@lru_cache(maxsize=4096)
def _trace(trace_id: bytes) -> int:
    """Return what the keys of a trace's records have in common."""
    return mix(mix(int.from_bytes(trace_id[:8], "big")) ^ int.from_bytes(trace_id[8:], "big"))


@lru_cache(maxsize=4096)
def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")


CONTENT_KEYS: Final = (_digest(USED + _CONTENT), _digest(GENERATED + _CONTENT))
"""What the keys by content have in common, of what was used and of what was generated."""
