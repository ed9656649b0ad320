"""Value types of configurations: durations as Go writes them, sizes, and secrets that never show themselves."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_LONGEST: Final = 2**63 / 1e9
_SIZES: Final = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE: Final = re.compile(r"(\d+)\s*([KMG]i?B|B)?")

NO_EFFECT: Final[Mapping[str, bool]] = MappingProxyType({"provtel.no_effect": True})
"""Metadata of the field of a config for a key that is taken for the sake of files that have it, and changes nothing."""


class Duration(float):
    """A length of time in seconds, written ``200ms``, ``1.5s`` or ``1h2m`` as Go writes it."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the duration that a text says.

        Raises:
            ValueError: The text is not a duration.
        """
        if text in {"0", "+0"}:
            return cls(0)
        parts = list(_DURATION.finditer(text))
        if not parts or "".join(part.group() for part in parts) != text.removeprefix("+"):
            msg = f"{text!r} is not a duration; write a number with a unit, such as 200ms, 5s or 1h30m"
            raise ValueError(msg)
        seconds = sum(float(part[1]) * _UNITS[part[2]] for part in parts)
        if seconds > _LONGEST:
            msg = f"{text!r} is longer than 292 years"
            raise ValueError(msg)
        return cls(seconds)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> dict[str, Any]:
        """Tell pydantic how a setting becomes a duration."""
        expected = "a duration, such as 200ms, 5s or 1h30m"
        return _schema(lambda value: cls.parse("0" if value == 0 and type(value) is int else _text(value, expected)))


class Size(int):
    """A number of bytes, written ``4MiB``, ``10 GB`` or as a plain number."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the size that a text says.

        Raises:
            ValueError: The text is not a size.
        """
        match = _SIZE.fullmatch(text.strip())
        if match is None:
            msg = f"{text!r} is not a size; write a whole number with a unit, such as 64KiB, 4MiB or 10GB"
            raise ValueError(msg)
        return cls(int(match[1]) * _SIZES[match[2] or ""])

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> dict[str, Any]:
        """Tell pydantic how a setting becomes a size."""
        expected = "a size, such as 64KiB, 4MiB or 10GB"
        return _schema(lambda value: cls.parse(str(value) if type(value) is int else _text(value, expected)))


class Secret:
    """A text that shows itself only to code that asks by `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Hide the text."""
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        """Return what may be shown."""
        return "[REDACTED]"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Compare the texts of two secrets."""
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        """Hash the text."""
        return hash(self._text)

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        """Refuse to be written out with its text.

        Raises:
            TypeError: Always.
        """
        msg = "a secret is not serialised"
        raise TypeError(msg)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> dict[str, Any]:
        """Tell pydantic how a setting becomes a secret."""
        return _schema(lambda value: cls(_text(value, "a text")))


def _schema(convert: Callable[[Any], object]) -> dict[str, Any]:
    """Return what pydantic wants to be told; it is a plain dict, so that the model needs no pydantic."""
    return {"type": "function-plain", "function": {"type": "no-info", "function": convert}}


def _text(value: object, expected: str) -> str:
    if not isinstance(value, str):
        msg = f"expected {expected}"
        raise ValueError(msg)  # noqa: TRY004  # pydantic collects a ValueError and lets a TypeError through
    return value
