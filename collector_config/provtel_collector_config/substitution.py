"""``${env:NAME}``, ``${file:PATH}`` and ``${yaml:TEXT}`` in the values of a document.

A value that is one whole reference becomes what the text that it names means as YAML, so that numbers, lists and maps
work; inside a longer text that text is put as it is. ``${env:NAME:-default}`` where the variable is not set,
``${NAME}`` for short, ``$$`` for a dollar. References nest, and what they bring in is substituted in turn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from provtel_collector_config.problems import InvalidConfigurationError, Path, Problem
from provtel_collector_config.providers import Providers, UnavailableError, split_uri
from provtel_collector_config.yaml_document import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REFERENCE_LIMIT: Final = 100

_MARKS: Final = re.compile(r"\$\$|\$\{|\}")
_EMPTY_DEFAULT: Final = ":-"


@dataclass(slots=True)
class Substituted:
    """A tree without references.

    Args:
        tree: The values.
        originals: The text of each value that a reference turned into something else than text.
        problems: References that cannot be followed.
        warnings: Variables that are not set and have no default.
    """

    tree: Any
    originals: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def substitute(tree: Any, environment: Mapping[str, str]) -> Substituted:
    """Return a tree with what references stand for in their place."""
    result = Substituted(None)
    providers = Providers(environment, result.warnings)
    result.tree = _Substitution(providers, result).value(tree, ())
    return result


class _Substitution:
    """One walk over a tree."""

    def __init__(self, providers: Providers, result: Substituted) -> None:
        self.providers = providers
        self.result = result

    def value(self, value: Any, path: Path) -> Any:
        """Return a value without references; one that cannot be followed becomes a problem and null."""
        if isinstance(value, dict):
            return {key: self.value(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        following = _Following(self.providers, self.result)
        try:
            return following.value(value, path)
        except UnavailableError as refused:
            self.result.problems.append(Problem(str(refused), path))
            return None


class _Following:
    """The references of one text of the document, followed to their ends."""

    def __init__(self, providers: Providers, result: Substituted) -> None:
        self.providers = providers
        self.result = result
        self.followed = 0

    def value(self, value: Any, path: Path) -> Any:
        """Return what a value, of the document or of a variable, stands for."""
        if isinstance(value, dict):
            return {key: self.value(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or "$" not in value:
            return value
        if _closing(value, 0) == len(value):
            return self.meaning(value[2:-1], path)
        return self.text(value)

    def meaning(self, body: str, path: Path) -> Any:
        """Return what the inside of a reference that is a whole value means as YAML."""
        text = self.named(body)
        meaning = text if not text and body.endswith(_EMPTY_DEFAULT) else _meaning(text)
        if isinstance(meaning, str):
            return self.value(text, path)
        self.result.originals[path] = text
        return self.value(meaning, path)

    def text(self, text: str, dollar: str = "$") -> str:
        """Return a text with every reference replaced, and every ``$$`` by one dollar."""
        parts = []
        for part in _parts(text):
            if part.startswith("${"):
                parts.append(self.text(self.named(part[2:-1])))
            else:
                parts.append(dollar if part == "$$" else part)
        return "".join(parts)

    def named(self, body: str) -> str:
        """Return the text that the inside of a reference names."""
        self.followed += 1
        if self.followed > REFERENCE_LIMIT:
            raise UnavailableError("too many recursive expansions")
        uri = self.text(body, dollar="$$")
        scheme, rest = split_uri(uri) or ("env", uri)
        return self.providers.text(scheme, rest, body)


def _meaning(text: str) -> Any:
    try:
        return parse(text, "").tree
    except InvalidConfigurationError:
        return text


def _parts(text: str) -> Iterator[str]:
    """Yield the pieces of a text: whole references, ``$$``, and what stands between them."""
    done = 0
    while (dollar := text.find("$", done)) >= 0:
        yield text[done:dollar]
        done = dollar + 2 if text.startswith("$$", dollar) else _closing(text, dollar) or dollar + 1
        yield text[dollar:done]
    yield text[done:]


def _closing(text: str, start: int) -> int:
    """Return where the reference that begins at `start` ends; 0 where none does."""
    if not text.startswith("${", start):
        return 0
    depth = 0
    for mark in _MARKS.finditer(text, start):
        depth += {"${": 1, "}": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.end()
    return 0
