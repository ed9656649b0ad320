"""Every component that ships says what each of its keys means."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from provtel_collector.registry import find_factories
from provtel_model.components import Factory

FACTORIES = [factory for factories in find_factories().values() for factory in factories.values()]


def keys_of(config: type[Any]) -> Iterator[str]:
    """Yield every key that a configuration can have, at any depth."""
    for name, kind in get_type_hints(config).items():
        yield name
        for inner in (kind, *get_args(kind)):
            if isinstance(inner, type) and dataclasses.is_dataclass(inner):
                yield from keys_of(inner)


@pytest.mark.parametrize("factory", FACTORIES, ids=lambda factory: factory.type)
def test_keys_are_documented(factory: Factory) -> None:
    """The README beside a component begins with its type, and has every key of its configuration."""
    readme = Path(inspect.getfile(factory.config)).with_name("README.md").read_text()
    written = set(re.findall(r"[`:]([a-z_]+)[`:]", readme))

    assert readme.startswith(f"# {factory.type}\n")
    assert set(keys_of(factory.config)) - written == set()
