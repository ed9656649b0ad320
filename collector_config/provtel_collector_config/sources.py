"""What ``--config`` and ``--set`` name: files, presets, variables, and what is written out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_collector_config.merging import merge, with_maps_for_paths
from provtel_collector_config.presets import presets
from provtel_collector_config.problems import InvalidConfigurationError, Place, Problem
from provtel_collector_config.providers import Providers, UnavailableError, read_text, split_uri
from provtel_collector_config.yaml_document import Document, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PROVIDED: Final = ("env", "yaml")


@dataclass(frozen=True, slots=True)
class Sources:
    """What makes a configuration; the later wins.

    Args:
        configs: ``PATH``, ``file:PATH``, ``preset:NAME``, ``env:NAME`` or ``yaml:TEXT`` each.
        settings: ``key.path=value`` each; they count more than every config.
    """

    configs: tuple[str, ...]
    settings: tuple[str, ...] = ()

    def read(self, environment: Mapping[str, str], warnings: list[str]) -> Document:
        """Return the documents, merged into one.

        Args:
            environment: Where ``env:NAME`` is looked up.
            warnings: Takes what may surprise.

        Raises:
            InvalidConfigurationError: Some cannot be read; it tells of all of them.
        """
        documents: list[Document] = []
        problems: list[Problem] = []
        providers = Providers(environment, warnings)
        for named in self._named():
            try:
                documents.append(named.document(providers))
            except InvalidConfigurationError as error:
                problems += error.problems
        if problems:
            raise InvalidConfigurationError(problems)
        return merge(documents)

    def _named(self) -> Iterable[_Config | _Setting]:
        yield from map(_Config, self.configs)
        yield from map(_Setting, self.settings)


@dataclass(frozen=True, slots=True)
class _Config:
    """What one ``--config`` names."""

    uri: str

    def document(self, providers: Providers) -> Document:
        """Return what it says."""
        try:
            name, text = self._text(providers)
        except UnavailableError as error:
            raise InvalidConfigurationError([Problem(str(error))]) from None
        return _document(text, name)

    def _text(self, providers: Providers) -> tuple[str, str]:
        """Return what to call it, and its text."""
        scheme, rest = split_uri(self.uri) or ("file", self.uri)
        if scheme == "file":
            return rest, read_text(Path(rest))
        if scheme == "preset":
            return self.uri, _preset(rest)
        if scheme in _PROVIDED:
            # What is written out may hold a secret, and is not repeated.
            return self.uri if scheme == "env" else "yaml", providers.text(scheme, rest, self.uri)
        if os.path.exists(self.uri):  # noqa: PTH110  # unlike Path's, it does not mind what is no name of a file
            return self.uri, read_text(Path(self.uri))
        schemes = ", ".join(("file", "preset", *_PROVIDED))
        raise UnavailableError(f'scheme "{scheme}" is not supported for uri "{self.uri}"; there are {schemes}')


@dataclass(frozen=True, slots=True)
class _Setting:
    """What one ``--set`` says."""

    assignment: str

    def document(self, _: Providers) -> Document:
        """Return what it says, as a document with one key."""
        path, equals, value = self.assignment.partition("=")
        keys, name = path.strip().replace(".", "::"), f"--set {path.strip()}"
        if not equals:
            raise InvalidConfigurationError([Problem(f"{name}: missing equal sign; write key.path=value")])
        if not all(keys.split("::")):
            raise InvalidConfigurationError([Problem(f"{name}: there is an empty key in the path")])
        document = _document(f"{keys}: {value}", name)
        return Document(document.tree, dict.fromkeys(document.places, Place(name)))


def _preset(name: str) -> str:
    known = presets()
    if name not in known:
        raise UnavailableError(f'there is no preset "{name}" (valid values: [{" ".join(known)}])')
    return read_text(known[name])


def _document(text: str, name: str) -> Document:
    document = parse(text, name)
    if document.tree is None:
        return Document({}, document.places)
    if not isinstance(document.tree, dict):
        raise InvalidConfigurationError([Problem("must be a map with sections", place=Place(name, 1))])
    return with_maps_for_paths(document)
