"""What a store keeps, as lines of OTLP in JSON, and back.

What OTLP cannot say exactly (an id that is no hexadecimal text, a time beyond 63 bits, a field of another type) is
written as a log record that has the whole of it as JSON in its body, so that no file loses anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import ormsgpack
from provtel_model import attributes as names
from provtel_model.errors import MalformedError, PermanentError
from provtel_model.otlp import decode, encode
from provtel_model.otlp.encode_observations import encode_logs, encode_points
from provtel_model.otlp.json_codec import to_json
from provtel_model.otlp.observations import decode_logs, decode_points
from provtel_model.record import PlainRecord, State
from provtel_model.telemetry import PlainLog, PlainPoint, check_observation

from provtel_exporters.file import json_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from provtel_model.components import Batch

_FAILURES: Final = (ValueError, KeyError, TypeError, AttributeError, OverflowError)
_ALWAYS: Final = ("trace_id", "span_id", "name", "kind", "status", "started_at")
_DIGITS: Final = {"trace_id": 32, "span_id": 16}
_LAST_TIME: Final = 2**63 - 1


@dataclass(slots=True)
class Contents:
    """Records, data points and log records."""

    records: list[PlainRecord] = field(default_factory=list)
    points: list[PlainPoint] = field(default_factory=list)
    logs: list[PlainLog] = field(default_factory=list)

    def lines(self) -> Iterator[bytes]:
        """Yield lines that hold all of it.

        Raises:
            PermanentError: Something is in no form that a store keeps.
        """
        yield from _lines(self.records, encode, decode, names.EVENT_KEPT_RECORD)
        yield from _lines(self.points, encode_points, decode_points, names.EVENT_KEPT_POINT)
        yield from _lines(self.logs, encode_logs, lambda batch: contents_of(batch).logs, names.EVENT_KEPT_LOG)


def contents_of(batch: Batch) -> Contents:
    """Return what a request holds.

    Raises:
        MalformedError: It holds a record that is none.
    """
    found = Contents(decode(batch), decode_points(batch), [])
    for log in decode_logs(batch):
        kept = _KEPT.get(log.get("name", ""))
        if kept is None:
            found.logs.append(log)
        else:
            kept(found, _whole(log))
    return found


def check_record(plain: PlainRecord) -> None:
    """Accept a record that every store can keep.

    Raises:
        ValueError: An id is no hexadecimal text of its length, the start lies outside 64 bits, or a state is none.
        KeyError: It lacks what every record has.
    """
    if missing := [name for name in _ALWAYS if name not in plain]:
        raise KeyError(missing[0])
    for name, length in _DIGITS.items():
        text = cast("dict[str, Any]", plain)[name]
        if len(text) != length or bytes.fromhex(text).hex() != text:
            msg = f"{name} {text!r} is not {length} lower-case hexadecimal digits"
            raise ValueError(msg)
    if not 0 <= plain["started_at"] < 2**64:
        msg = f"the start {plain['started_at']} lies outside 64 bits"
        raise ValueError(msg)
    State(plain["status"])


def packed(plain: Any) -> bytes:
    """Return bytes that are equal exactly where plain forms are."""
    return ormsgpack.packb(plain, option=ormsgpack.OPT_SORT_KEYS)


def _whole(log: PlainLog) -> Any:
    body = log.get("body")
    plain = json_values.from_json(body) if isinstance(body, str) else None
    if not isinstance(plain, dict):
        raise MalformedError(f"the log record {log.get('name')!r} has no map in JSON as its body")
    return plain


def _add_record(found: Contents, plain: Any) -> None:
    try:
        check_record(plain)
    except _FAILURES as error:
        raise MalformedError(f"a record that was kept whole is none: {error}") from None
    found.records.append(plain)


def _observation(into: Callable[[Contents], list[Any]]) -> Callable[[Contents, Any], None]:
    def add(found: Contents, plain: Any) -> None:
        try:
            check_observation(plain)
        except ValueError as error:
            raise MalformedError(f"a data point or log record that was kept whole is none: {error}") from None
        into(found).append(plain)

    return add


_KEPT: Final[dict[str, Callable[[Contents, Any], None]]] = {
    names.EVENT_KEPT_RECORD: _add_record,
    names.EVENT_KEPT_POINT: _observation(lambda found: found.points),
    names.EVENT_KEPT_LOG: _observation(lambda found: found.logs),
}


def _lines(
    plains: Sequence[Any],
    write: Callable[[Iterable[Any]], Iterator[Batch]],
    read: Callable[[Batch], list[Any]],
    event: str,
) -> Iterator[bytes]:
    batches = _said(plains, write, read)
    if batches is None:
        exact = [plain for plain in plains if _said([plain], write, read) is not None]
        batches = list(write(exact))
        told = {id(plain) for plain in exact}
        kept = [_keep(plain, event) for plain in plains if id(plain) not in told]
        batches += encode_logs(kept)
    for batch in batches:
        yield to_json(batch.signal, batch.payload) + b"\n"


def _said(
    plains: Sequence[Any], write: Callable[[Iterable[Any]], Iterator[Batch]], read: Callable[[Batch], list[Any]]
) -> list[Batch] | None:
    """Return requests that say exactly what plain forms do; ``None`` where OTLP cannot."""
    try:
        batches = list(write(plains))
        found = sorted(packed(plain) for batch in batches for plain in read(batch))
        wanted = sorted(map(packed, plains))
    except (*_FAILURES, MalformedError):
        return None
    return batches if found == wanted else None


def _keep(plain: Any, event: str) -> PlainLog:
    try:
        body = json_values.to_json(plain)
        body.encode()
    except (*_FAILURES, RecursionError) as error:
        raise PermanentError(f"it cannot be stored: {error}") from error
    time = plain.get("started_at", plain.get("time", 0))
    return {"name": event, "time": min(max(time, 0), _LAST_TIME), "body": body}
