"""Names in a configuration: kinds of components, ``type/name`` ids, ``signal/name`` pipelines."""

from __future__ import annotations

import enum
import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Self

from provtel_model.components import Signal

_TYPE: Final = re.compile(r"[a-zA-Z][0-9a-zA-Z_]{0,62}")
_NAME_LIMIT: Final = 1024
_SPACE_CONTROL_SYMBOL: Final = frozenset("ZCS")


class Kind(enum.StrEnum):
    """The kinds of components, as the sections of a configuration are called."""

    RECEIVERS = "receivers"
    PROCESSORS = "processors"
    EXPORTERS = "exporters"
    CONNECTORS = "connectors"
    EXTENSIONS = "extensions"

    @property
    def one(self) -> str:
        """What one of them is called."""
        return self.value.removesuffix("s")


@dataclass(frozen=True, slots=True, order=True)
class ComponentId:
    """The id of a component, ``type`` or ``type/name``.

    Args:
        type: Which component type it is.
        name: What tells it from others of its type; empty for the only one.
    """

    type: str
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the id that a text spells.

        Raises:
            ValueError: The text is no id.
        """
        kind, name = _split(text)
        if not _TYPE.fullmatch(kind):
            raise ValueError(f'in "{text}" id: invalid character(s) in type "{kind}"')
        return cls(kind, name)

    def __str__(self) -> str:
        return f"{self.type}/{self.name}" if self.name else self.type


@dataclass(frozen=True, slots=True, order=True)
class PipelineId:
    """The id of a pipeline, ``signal`` or ``signal/name``.

    Args:
        signal: What flows through it.
        name: What tells it from others of its signal; empty for the only one.
    """

    signal: Signal
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the id that a text spells.

        Raises:
            ValueError: The text is no id of a pipeline.
        """
        signal, name = _split(text)
        try:
            return cls(Signal(signal), name)
        except ValueError:
            raise ValueError(f'in "{text}" id: unknown pipeline signal: "{signal}"') from None

    def __str__(self) -> str:
        return f"{self.signal}/{self.name}" if self.name else str(self.signal)


def _split(text: str) -> tuple[str, str]:
    head, slash, name = (part.strip() for part in text.partition("/"))
    if not head:
        raise ValueError(f'in "{text}" id: the part before / should not be empty' if slash else "id must not be empty")
    if slash and not name:
        raise ValueError(f'in "{text}" id: the part after / should not be empty')
    if len(name.encode()) > _NAME_LIMIT:
        raise ValueError(f'in "{text[:20]}…" id: the name has more than {_NAME_LIMIT} bytes')
    if any(unicodedata.category(character)[0] in _SPACE_CONTROL_SYMBOL for character in name):
        raise ValueError(f'in "{text}" id: invalid character(s) in name "{name}"')
    return head, name
