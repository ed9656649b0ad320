"""Whatever is written into a configuration, it is used or refused; nothing else happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_collector.registry import find_factories
from provtel_collector.service import Service
from provtel_collector_config.configuration import Configuration
from provtel_collector_config.keys import keys_of
from provtel_collector_config.loading import load
from provtel_collector_config.presets import presets
from provtel_collector_config.problems import InvalidConfigurationError
from provtel_model.errors import UserError

FACTORIES = {kind: dict(factories) for kind, factories in find_factories().items()}
DOCUMENTS = [yaml.safe_load(file.read_text()) for file in presets().values()]
ROWS = yaml.safe_load((Path(__file__).parents[1] / "collector_config" / "shared.yaml").read_text())
DOCUMENTS += [yaml.safe_load(row["document"]) for row in ROWS]
ENVIRONMENT = {"PROVTEL_COLLECTOR_UPSTREAM": "http://localhost:1", "PROVTEL_STORE": "/nonexistent/provtel"}
NAMES = sorted({key.name for known in FACTORIES.values() for one in known.values() for key in keys_of(one.config)})

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["", "0", "-1s", "5s", "otlp", "debug/x", "${env:X}", "${file:/}", "localhost:0", "/", "a b", "[", "*"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*NAMES, "x", "a::b", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to everything in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a document in which one thing is another."""
    if not path:
        return new
    first, *rest = path
    if isinstance(value, dict):
        return {key: changed(item, tuple(rest), new) if key == first else item for key, item in value.items()}
    return [changed(item, tuple(rest), new) if index == first else item for index, item in enumerate(value)]


@given(st.data())
@settings(max_examples=400)
def test_one_thing_is_another(data: st.DataObject) -> None:
    """A document that is used, with anything at all in one place, is used or refused in lines that say something."""
    document = data.draw(st.sampled_from(DOCUMENTS))
    path = data.draw(st.sampled_from(list(paths(document))))
    new = changed(document, path, data.draw(values))
    text = json.dumps(new).replace("Infinity", ".inf").replace("NaN", ".nan")

    with suppress(UserError):
        Service(used(text))


def used(text: str) -> Configuration:
    """Return a configuration; see that a refusal tells at least one problem, and each in words."""
    try:
        return load([f"yaml:{text}"], FACTORIES, ENVIRONMENT)
    except InvalidConfigurationError as error:
        if not error.problems or not all(map(str, error.problems)):
            raise AssertionError from error
        raise


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    """Any text at all is a configuration or is refused."""
    with pytest.raises(InvalidConfigurationError):
        load([f"yaml:{text}"], FACTORIES, {})
