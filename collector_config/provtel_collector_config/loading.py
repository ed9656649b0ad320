"""From what ``--config`` names to a checked configuration, or to everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NewType

from provtel_model.components import Factory
from provtel_model.errors import UserError

from provtel_collector_config.configuration import Configuration, Configured, Pipeline
from provtel_collector_config.dataclass_loading import load_dataclass
from provtel_collector_config.effects import keys_without_effect
from provtel_collector_config.ids import ComponentId, Kind, PipelineId
from provtel_collector_config.problems import InvalidConfigurationError, Path, Problem
from provtel_collector_config.references import reference_problems
from provtel_collector_config.sources import Sources
from provtel_collector_config.substitution import substitute
from provtel_collector_config.telemetry import TelemetryConfig

if TYPE_CHECKING:
    from provtel_collector_config.yaml_document import Document

Factories = Mapping[Kind, Mapping[str, Factory]]
"""The component types that there are, by kind and type."""

_SERVICE: Final = "service"
# Other than lists of texts, lists of ids are never written as one text.
_IdText = NewType("_IdText", str)
_SECTIONS: Final = (*Kind, _SERVICE)


@dataclass(frozen=True)
class _PipelineConfig:
    """A pipeline as the document has it."""

    receivers: tuple[_IdText, ...] = ()
    processors: tuple[_IdText, ...] = ()
    exporters: tuple[_IdText, ...] = ()


@dataclass(frozen=True)
class _ServiceConfig:
    """The section ``service`` as the document has it."""

    extensions: tuple[_IdText, ...] = ()
    pipelines: Mapping[str, _PipelineConfig] | None = None
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)


def load(
    sources: Iterable[str] | Sources,
    factories: Factories,
    environment: Mapping[str, str] | None = None,
    *,
    check_references: bool = True,
) -> Configuration:
    """Return the configuration that sources say together.

    Args:
        sources: What `Sources` has as configs, or a `Sources`; maps merge, the later wins.
        factories: The component types that there are.
        environment: Where ``${env:NAME}`` is looked up; this process's environment if None.
        check_references: Refuse what is well formed in each part, and does not fit together.

    Raises:
        InvalidConfigurationError: It cannot be used; the error tells everything that was found wrong.
    """
    environment = os.environ if environment is None else environment
    sources = sources if isinstance(sources, Sources) else Sources(tuple(sources))
    warnings: list[str] = []
    document = sources.read(environment, warnings)
    loading = _Loading(document, environment, factories, warnings)
    configuration = loading.configuration(check_references=check_references)
    if loading.problems:
        placed = (replace(one, place=one.place or document.place(one.at or one.path)) for one in loading.problems)
        raise InvalidConfigurationError(placed, loading.warnings)
    return configuration


class _Loading:
    """One pass over a document that collects what is wrong."""

    def __init__(
        self, document: Document, environment: Mapping[str, str], factories: Factories, warnings: Iterable[str]
    ) -> None:
        substituted = substitute(document.tree, environment)
        self.place = document.place
        self.tree: dict[str, Any] = substituted.tree
        self.originals = substituted.originals
        self.warnings: tuple[str, ...] = tuple(dict.fromkeys([*warnings, *substituted.warnings]))
        self.factories = factories
        self.problems = list(substituted.problems)

    def configuration(self, *, check_references: bool) -> Configuration:
        """Return what the document says, as far as it can be used."""
        self.check_sections()
        ids = {kind: self.ids(kind) for kind in Kind}
        components = {kind: self.components(kind, ids[kind]) for kind in Kind}
        service = self.service()
        if service is None:
            return Configuration(components, (), {})
        extensions = self.references(service.extensions, (_SERVICE, "extensions"))
        pipelines = self.pipelines(service.pipelines or {})
        configuration = Configuration(components, extensions, pipelines, service.telemetry, self.warnings)
        if check_references:
            self.problems += reference_problems(configuration, ids)
        return configuration

    def check_sections(self) -> None:
        """See that there are the sections that must be, and no others."""
        if not self.tree:
            self.problems.append(Problem("empty configuration file"))
        elif unknown := sorted(self.tree.keys() - set(_SECTIONS)):
            message = f"the document has invalid keys: {', '.join(unknown)} (valid keys: [{' '.join(_SECTIONS)}])"
            self.problems.append(Problem(message, place=self.place((unknown[0],))))
        else:
            missing = (kind for kind in (Kind.RECEIVERS, Kind.EXPORTERS) if not self.tree.get(kind))
            self.problems += [Problem(f"no {kind.one} configuration specified in config") for kind in missing]

    def ids(self, kind: Kind) -> dict[ComponentId, str]:
        """Return the ids in a section, with the key that spells each."""
        section = self.tree.get(kind)
        if section is None:
            return {}
        if not isinstance(section, dict):
            self.problems.append(Problem(f"expected a map, got a {type(section).__name__}", (kind,)))
            return {}
        found: dict[ComponentId, str] = {}
        for key in section:
            try:
                id_ = ComponentId.parse(key)
            except ValueError as error:
                self.problems.append(Problem(str(error), (kind,), self.place((kind, key))))
                continue
            if id_ in found:
                self.problems.append(Problem(f'duplicate name "{key}" after unmarshaling {id_}', (kind, key)))
            found[id_] = key
        return found

    def components(self, kind: Kind, ids: Mapping[ComponentId, str]) -> dict[ComponentId, Configured]:
        """Return the components of a section that can be used."""
        found = {}
        for id_, key in ids.items():
            factory = self.factory(kind, id_, key)
            if factory is None:
                continue
            config, problems = load_dataclass(factory.config, self.tree[kind][key], (kind, key), self.originals)
            self.problems += problems
            if config is not None:
                found[id_] = Configured(factory, config)
                self.note_effects(config, f"{kind}::{key}")
        return found

    def note_effects(self, config: Any, place: str) -> None:
        """Warn of keys that change nothing, once for a place."""
        keys = list(keys_without_effect(config))
        if keys:
            self.warnings += (f"{place}: of no effect here: {', '.join(keys)}",)

    def factory(self, kind: Kind, id_: ComponentId, key: str) -> Factory | None:
        """Return what makes a component, or None where nothing does."""
        known = self.factories.get(kind, {})
        message = f'unknown type: "{id_.type}" for id: "{id_}" (valid values: [{" ".join(sorted(known))}])'
        try:
            factory = known.get(id_.type)
        except UserError as error:  # it is registered, and cannot be imported
            factory, message = None, str(error)
        if factory is None:
            self.problems.append(Problem(message, (kind,), self.place((kind, key))))
        return factory

    def service(self) -> _ServiceConfig | None:
        """Return the section ``service``, or None where it cannot be read."""
        service, problems = load_dataclass(_ServiceConfig, self.tree.get(_SERVICE), (_SERVICE,), self.originals)
        self.problems += problems
        if service:
            self.note_effects(service.telemetry, f"{_SERVICE}::telemetry")
        if service and not service.pipelines:
            self.problems.append(Problem("service must have at least one pipeline", (_SERVICE, "pipelines")))
        return service

    def pipelines(self, configs: Mapping[str, _PipelineConfig]) -> dict[PipelineId, Pipeline]:
        """Return the pipelines whose ids can be read."""
        found = {}
        for key, pipeline in configs.items():
            path = (_SERVICE, "pipelines", key)
            try:
                id_ = PipelineId.parse(key)
            except ValueError as error:
                self.problems.append(Problem(str(error), path[:-1], self.place(path)))
                continue
            if id_ in found:
                self.problems.append(Problem(f'duplicate name "{key}" after unmarshaling {id_}', path))
            found[id_] = Pipeline(
                self.references(pipeline.receivers, (*path, "receivers")),
                self.references(pipeline.processors, (*path, "processors")),
                self.references(pipeline.exporters, (*path, "exporters")),
            )
        return found

    def references(self, texts: tuple[str, ...], path: Path) -> tuple[ComponentId, ...]:
        """Return the ids that a list names."""
        found = []
        for index, text in enumerate(texts):
            try:
                found.append(ComponentId.parse(text))
            except ValueError as error:
                self.problems.append(Problem(str(error), (*path, index)))
        return tuple(found)
