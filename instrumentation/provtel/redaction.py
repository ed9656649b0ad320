"""Secrets never reach the journal: values under telling names, passwords in addresses, secrets of the environment."""

from __future__ import annotations

import os
import re
from typing import Final

REDACTED: Final = "[REDACTED]"
DEFAULT_PATTERN: Final = (
    r"passw|pwd|passphrase|secret|credential|authorization|cookie|api[_-]?key|access[_-]?key|private[_-]?key|token$"
)

_URL_PASSWORD: Final = re.compile(r"(?<=://)([^/\s:@]*):[^@/\s]*@")
_SHORTEST_SECRET: Final = 8


class Redaction:
    """Decides what is secret.

    Args:
        pattern: Regular expression, searched for in names without regard to case.
    """

    def __init__(self, pattern: str = DEFAULT_PATTERN) -> None:
        """Compile the pattern and collect what the environment keeps under such names."""
        self._pattern = re.compile(pattern, re.IGNORECASE)
        self._known: dict[str, bool] = {}
        self._secrets = frozenset(
            value for name, value in os.environ.items() if len(value) >= _SHORTEST_SECRET and self.hides(name)
        )

    def hides(self, name: str) -> bool:
        """Say whether what has this name is secret."""
        known = self._known.get(name)
        if known is None:
            known = self._pattern.search(name) is not None
            if len(self._known) < 10_000:  # noqa: PLR2004  # names may be data
                self._known[name] = known
        return known

    def text(self, text: str) -> str:
        """Return a text without passwords in addresses; a secret of the environment is hidden whole."""
        if text in self._secrets:
            return REDACTED
        return without_passwords(text)


def without_passwords(text: str) -> str:
    """Return a text without passwords in addresses."""
    if "://" in text and "@" in text:
        return _URL_PASSWORD.sub(rf"\1:{REDACTED}@", text)
    return text
