"""Secrets never reach the journal.

What is secret: values under telling names, at any depth; passwords and telling parameters in addresses; and what the
environment keeps under telling names, wherever it turns up.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from provtel_model.anyvalue import TYPE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

REDACTED: Final = "[REDACTED]"
DEFAULT_PATTERN: Final = (
    r"passw|pwd|passphrase|secret|credential|authorization|cookie|api[_-]?key|access[_-]?key|private[_-]?key|token$"
)

_ADDRESS: Final = "://"
# A password may hold any mark but these, an @ and a slash too; but a number and a slash are a port and a path.
_URL_PASSWORD: Final = re.compile(r"(?<=://)([^/\s:@\"'<>]*):(?!\d+/)[^\s\"'<>]*@")
_URL_PARAMETER: Final = re.compile(r"(?<=[?&;])([^\s?&;=#\"'<>]+)=([^\s&;#\"'<>]+)")
_SHORTEST_SECRET: Final = 8
_MAX_NAMES: Final = 10_000
_LONGEST_NAME: Final = 200
_FLAG_MARKS: Final = "-+"
_HEADER: Final = re.compile(r"((?:[^:]*=)?[-'\"]*([A-Za-z][\w-]*):\s+)\S")
"""A header of HTTP as an argument: by itself, behind a flag, or behind a flag and an equals sign."""
WORD: Final = re.compile(r"(?:'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.|[^\s'\"\\]|['\"\\])+", re.DOTALL)
"""A word of a line for the shell, with what is quoted in it."""
_QUOTES: Final = "'\""
_DEEPEST_LINE: Final = 5


class Redaction:
    """Decides what is secret.

    Args:
        pattern: Regular expression, searched for in names without regard to case.
    """

    def __init__(self, pattern: str = DEFAULT_PATTERN) -> None:
        """Compile the pattern and collect what the environment keeps under such names."""
        self._pattern = re.compile(pattern, re.IGNORECASE)
        self._hidden: dict[str, bool] = {}
        self.plain_names: set[str] = set()
        """Names that were found to hide nothing and to be kept as they are."""
        self.secrets = frozenset(
            value
            for name, value in os.environ.items()
            # A path is no secret, such as PWD, the shell's working folder, or where a file of credentials lies.
            if len(value) >= _SHORTEST_SECRET and not value.startswith("/") and self.hides(name)
        )
        """What is hidden wherever it turns up."""

    def hides(self, name: str) -> bool:
        """Say whether what has this name is secret."""
        known = self._hidden.get(name)
        if known is None:
            known = self._pattern.search(name) is not None
            if len(self._hidden) < _MAX_NAMES:  # names may be data
                self._hidden[name] = known
        return known

    def is_plain_name(self, name: str) -> bool:
        """Say whether a name hides nothing, and needs no other form than itself."""
        if len(name) > _LONGEST_NAME or not name.isascii() or name == TYPE_KEY or self.hides(name):
            return False
        if self.text(name) != name:
            return False
        if len(self.plain_names) < _MAX_NAMES:
            self.plain_names.add(name)
        return True

    def text(self, text: str) -> str:
        """Return a text without the secrets of the environment, and without those in addresses."""
        for secret in self.secrets:
            if secret in text:
                text = text.replace(secret, REDACTED)
        return self._without_telling_parameters(without_passwords(text)) if _ADDRESS in text else text

    def binary(self, data: bytes) -> bytes:
        """Return bytes without what `text` leaves out of a text."""
        for secret in self.secrets:
            data = data.replace(os.fsencode(secret), REDACTED.encode())
        # Latin-1 has a character for each byte, so whatever is not a secret stays what it is.
        return self.text(data.decode("latin-1")).encode("latin-1") if _ADDRESS.encode() in data else data

    def arguments(self, arguments: Iterable[str]) -> list[str]:
        """Return the arguments of a command without secrets.

        Those are: ``--password x``, ``--api-key=x``, ``TOKEN=x``, ``Authorization: x``, and the same in an argument
        that is a line of a shell itself.
        """
        return self._arguments(arguments, _DEEPEST_LINE)

    def _arguments(self, arguments: Iterable[str], depth: int) -> list[str]:
        kept: list[str] = []
        follows = False
        for argument in arguments:
            name, mark, _ = argument.partition("=")
            is_flag = argument[:1] in _FLAG_MARKS
            header = _HEADER.match(argument)
            if follows and not is_flag:
                kept.append(REDACTED)
            elif mark and _ADDRESS not in name and self.hides(name.lstrip(_FLAG_MARKS)):
                kept.append(f"{name}={REDACTED}")
            elif header and self.hides(header[2]):
                kept.append(f"{header[1]}{REDACTED}")
            else:
                kept.append(self.text(self._line(argument, depth)))
            follows = is_flag and not mark and self.hides(argument.lstrip(_FLAG_MARKS))
        return kept

    def _line(self, line: str, depth: int) -> str:
        """Return a line for the shell without the secrets of its words; anything else as it is."""
        if not depth or not any(map(str.isspace, line)):
            return line
        quote = line[0] if line[0] in _QUOTES and WORD.fullmatch(line) and line[-1] == line[0] else ""
        if quote:
            return f"{quote}{self._line(line[1:-1], depth - 1)}{quote}"
        words = WORD.findall(line)
        kept = self._arguments(words, depth - 1)
        if kept == words:
            return line
        left = iter(kept)
        return WORD.sub(lambda _: next(left), line)

    def _without_telling_parameters(self, text: str) -> str:
        if "=" not in text:
            return text
        return _URL_PARAMETER.sub(lambda found: f"{found[1]}={REDACTED if self.hides(found[1]) else found[2]}", text)


def without_passwords(text: str) -> str:
    """Return a text without passwords in addresses."""
    return _URL_PASSWORD.sub(rf"\1:{REDACTED}@", text) if _ADDRESS in text and "@" in text else text
