"""Every component that ships says what it is and what each of its keys means."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from provtel_collector.registry import find_factories
from provtel_collector_config.keys import keys_of, summary
from provtel_model.components import Factory

FACTORIES = [factory for factories in find_factories().values() for factory in factories.values()]


def silent(config: type[Any], path: str = "") -> Iterator[str]:
    """Yield the keys of a configuration, at any depth, that do not say what they mean."""
    for key in keys_of(config):
        name = f"{path}{key.name}"
        if not key.meaning:
            yield name
        for inner in dataclasses_in(key.kind):
            yield from silent(inner, f"{name}::")


def dataclasses_in(kind: Any) -> Iterator[type[Any]]:
    """Yield the dataclasses whose values a value may hold."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        yield kind
    for inner in get_args(kind):
        yield from dataclasses_in(inner)


@pytest.mark.parametrize("factory", FACTORIES, ids=lambda factory: factory.type)
def test_keys_are_documented(factory: Factory) -> None:
    """A component has a README beside it that names its type, a summary, and a meaning for each of its keys."""
    readme = Path(inspect.getfile(factory.config)).with_name("README.md").read_text()

    assert factory.type in readme
    assert summary(factory.config)
    assert list(silent(factory.config)) == []
