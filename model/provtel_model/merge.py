"""How two copies of one record become one.

A record may reach a store more than once: as running, as lost, as ended, from the journal and from a foreign exporter.
The merge picks one of the copies whole; it is total, commutative, associative and idempotent, so the order and the
number of deliveries do not matter.
"""

from __future__ import annotations

import ormsgpack

from provtel_model.attributes import SCOPE_NAME
from provtel_model.hashing import canonical_bytes
from provtel_model.record import PlainRecord, State, as_any_value, key_of


def merge(first: PlainRecord, second: PlainRecord) -> PlainRecord:
    """Return the copy that stays: the higher state; of two ended ones ours; the later sign of life; greater bytes.

    Raises:
        ValueError: The two are different records: other ids, or the same ids with another start.
    """
    if key_of(first) != key_of(second):
        msg = f"{key_of(first)} and {key_of(second)} are two records"
        raise ValueError(msg)
    ranks = _rank(first), _rank(second)
    if ranks[0] != ranks[1]:
        return first if ranks[0] > ranks[1] else second
    return max(first, second, key=_content)


def _rank(plain: PlainRecord) -> tuple[int, bool, int]:
    state = State(plain["status"])
    ours = state.ended and plain.get("scope", {}).get("name") == SCOPE_NAME
    return (state.rank, ours, plain.get("last_seen_at", 0))


def _content(plain: PlainRecord) -> tuple[bytes, bytes]:
    """Order copies by canonical bytes; what those hold equal (previews of one content, every NaN) by all bytes."""
    return canonical_bytes(as_any_value(plain)), ormsgpack.packb(plain, option=ormsgpack.OPT_SORT_KEYS)
