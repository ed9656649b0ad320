"""One entry of a stream, and the request in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from provtel_model.components import Batch, Signal
from provtel_model.errors import MalformedError
from provtel_model.kafka import Encoding
from provtel_model.otlp import check, from_json
from provtel_model.redis import COMPRESSION, ENCODING, HEADER, LARGEST_ENTRY, PAYLOAD
from provtel_model.unpacking import TooLargeError, unpack

_PACKINGS: Final = {b"gzip": "gzip", b"zstd": "zstd"}
_PLAIN: Final = {b"", b"none"}
_ENCODINGS: Final = {b"otlp_proto", b"otlp_json"}


@dataclass(frozen=True, slots=True)
class Source:
    """A stream, and what its entries hold.

    Attributes:
        stream: Its name.
        signal: What the entries hold.
        encoding: In which form, where an entry does not say it.
    """

    stream: str
    signal: Signal
    encoding: Encoding

    @property
    def attributes(self) -> dict[str, str]:
        """What the metrics of this stream carry."""
        return {"stream": self.stream}


@dataclass(frozen=True, slots=True)
class Entry:
    """What Redis gives for one entry.

    Attributes:
        id: Its id.
        fields: Its fields.
    """

    id: str
    fields: Mapping[bytes, bytes]

    @classmethod
    def of(cls, answer: Any) -> Self:
        """Return the entry that a part of an answer is."""
        id_, flat = answer
        return cls(id_.decode(), dict(zip(flat[::2], flat[1::2], strict=True)))

    @property
    def raw(self) -> bytes:
        """The request as it lies there."""
        return self.fields.get(PAYLOAD, b"")

    def batch(self, source: Source) -> Batch:
        """Return what it holds, with where it comes from and its headers as metadata.

        Raises:
            MalformedError: It is no request of the signal.
        """
        if PAYLOAD not in self.fields:
            names = ", ".join(sorted(name.decode(errors="replace") for name in self.fields))
            raise MalformedError(f"it has no field {PAYLOAD.decode()}, only {names[:200]}")
        encoding = self.fields.get(ENCODING, source.encoding.encode())
        if encoding not in _ENCODINGS:
            raise MalformedError(f"its encoding is {encoding[:50]!r}, and not otlp_proto or otlp_json")
        content = self._unpacked()
        payload = from_json(source.signal, content) if encoding == b"otlp_json" else content
        return replace(check(source.signal, payload), metadata=self.metadata(source))

    def _unpacked(self) -> bytes:
        packing = self.fields.get(COMPRESSION, b"")
        if packing not in _PACKINGS and packing not in _PLAIN:
            raise MalformedError(f"its compression is {packing[:50]!r}, and not gzip or zstd")
        if packing in _PLAIN and len(self.raw) <= LARGEST_ENTRY:
            return self.raw
        try:
            return unpack(self.raw, _PACKINGS[packing], LARGEST_ENTRY)
        except (TooLargeError, KeyError):
            raise MalformedError(f"it has more than {LARGEST_ENTRY} bytes") from None

    def metadata(self, source: Source) -> dict[str, str]:
        """Return its headers, and where it comes from."""
        told = {
            name.removeprefix(HEADER).decode(errors="replace").lower(): text.decode(errors="replace")
            for name, text in self.fields.items()
            if name.startswith(HEADER)
        }
        return told | {"redis.stream": source.stream, "redis.id": self.id}
