"""What URIs stand for, ``scheme:rest``: the text of a variable or of a file, or a text that is written out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from provtel_collector_config.yaml_document import SIZE_LIMIT

_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
_VARIABLE: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class UnavailableError(Exception):
    """What a URI names cannot be had; the message says why, and holds nothing that a reference brought in."""


def split_uri(text: str) -> tuple[str, str] | None:
    """Return the scheme of a URI and the rest, or None where a text has no scheme."""
    matched = _URI.fullmatch(text)
    return (matched[1], matched[2]) if matched else None


@dataclass(slots=True)
class Providers:
    """Those who know what a URI stands for, by its scheme: ``env``, ``file`` and ``yaml``.

    Args:
        environment: The variables.
        warnings: Variables that were asked for, are not set and have no default.
    """

    environment: Mapping[str, str]
    warnings: list[str] = field(default_factory=list)

    def text(self, scheme: str, rest: str, shown: str) -> str:
        """Return the text that a URI stands for.

        Args:
            scheme: Its scheme.
            rest: What follows.
            shown: How a person wrote it, before a reference inside of it brought in what may be a secret.

        Raises:
            UnavailableError: It cannot be had.
        """
        known: dict[str, Callable[[str, str], str]] = {
            "env": self._variable,
            "file": lambda path, _: read_text(Path(path)),
            "yaml": lambda text, _: text,
        }
        if scheme not in known:
            raise UnavailableError(f'scheme "{scheme}" is not supported for uri "{shown}"')
        return known[scheme](rest, shown)

    def _variable(self, rest: str, shown: str) -> str:
        name, has_default, default = rest.partition(":-")
        if not _VARIABLE.fullmatch(name):
            shown = shown.removeprefix("env:").partition(":-")[0]
            raise UnavailableError(
                f'environment variable "{shown}" has invalid name: must match regex ^{_VARIABLE.pattern}$'
            )
        if name not in self.environment and not has_default:
            self.warnings.append(f'environment variable "{name}" is not set and has no default')
        return self.environment.get(name, default)


def read_text(file: Path) -> str:
    """Return what a file says.

    Raises:
        UnavailableError: It cannot be read, is no UTF-8, or is larger than anybody's configuration.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(4 * SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise UnavailableError(f"{file}: cannot be read: {getattr(error, 'strerror', error)}") from None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnavailableError(f"{file}:{line}: this is no UTF-8") from None
