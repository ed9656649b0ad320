"""Component types are found by entry point, and what is wrong with one is told with its package."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from provtel_collector import registry
from provtel_collector.registry import find_factories, find_factory
from provtel_collector_config.ids import Kind
from provtel_model.components import Factory
from provtel_model.errors import UserError

NOT_A_FACTORY = "a text"


def register(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    """Make entry points named ``own`` the only ones."""
    monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint("own", value, group) for value in values])


def test_what_ships_is_found() -> None:
    """Every component that ships is registered, and is what its name says."""
    found = find_factories()

    assert {Kind.RECEIVERS, Kind.PROCESSORS, Kind.EXPORTERS, Kind.CONNECTORS, Kind.EXTENSIONS} == set(found)
    assert {"journal", "otlp"} <= set(found[Kind.RECEIVERS])
    assert {"debug", "lmdb"} <= set(found[Kind.EXPORTERS])
    assert all(isinstance(factory, Factory) for factories in found.values() for factory in factories.values())


def test_type_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two packages with one type are a mistake that names the type."""
    register(monkeypatch, "a:b", "c:d")

    with pytest.raises(UserError, match='the receiver type "own" is registered twice'):
        find_factories()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("missing_package:factory", "cannot be loaded: No module named 'missing_package'"),
        ("provtel_collector.registry:missing", "cannot be loaded: .*has no attribute 'missing'"),
        ("tests.collector.test_registry:NOT_A_FACTORY", "is no factory of the exporter type"),
        ("provtel_exporters.debug:factory", "is no factory of the exporter type"),
    ],
)
def test_broken_type_is_told_when_it_is_used(monkeypatch: pytest.MonkeyPatch, value: str, message: str) -> None:
    """A package that is broken harms nobody until somebody names its type."""
    register(monkeypatch, value)
    found = find_factories()[Kind.EXPORTERS]

    assert list(found) == ["own"]
    with pytest.raises(UserError, match=message):
        found["own"]


def test_unknown_type() -> None:
    """A type that nobody has is told."""
    with pytest.raises(UserError, match='no installed package has the exporter type "none"'):
        find_factory(Kind.EXPORTERS, "none")
