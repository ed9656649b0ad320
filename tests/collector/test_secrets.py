"""A secret is in no output, whichever component it belongs to and whatever else is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import pytest
from provtel_collector.registry import find_factories
from provtel_collector_config.dataclass_loading import load_dataclass
from provtel_collector_config.ids import Kind
from provtel_collector_config.keys import keys_of, without_none
from provtel_collector_config.printing import as_json, plain
from provtel_collector_config.schema import config_schema
from provtel_model.components import Factory
from provtel_model.settings import Secret

SECRET = "hunter2-correct-horse"  # noqa: S105  # not one of anybody's
FACTORIES = [one for known in find_factories().values() for one in known.values()]


def holders(kind: Any) -> Iterator[Any]:
    """Yield documents that each have a secret in one place where a value of a type may have one."""
    kind = without_none(kind)
    inner = get_args(kind)
    if kind is Secret:
        yield SECRET
    elif isinstance(kind, type) and dataclasses.is_dataclass(kind):
        for key in keys_of(kind):
            for held in holders(key.kind):
                yield {key.name: held}
    elif get_origin(kind) in {tuple, list}:
        yield from ([held] for held in holders(inner[0]))
    elif inner and isinstance(get_origin(kind), type) and issubclass(get_origin(kind) or object, Mapping):
        yield from ({"x-name": held} for held in holders(inner[-1]))


CASES = [(factory, document) for factory in FACTORIES for document in holders(factory.config)]


def test_there_are_secrets() -> None:
    """The components that log in somewhere have some."""
    assert {"kafka", "otlp_http", "otlp_grpc", "basicauth", "bearertokenauth"} <= {one.type for one, _ in CASES}


@pytest.mark.parametrize(("factory", "document"), CASES, ids=lambda one: one.type if isinstance(one, Factory) else "")
@pytest.mark.parametrize("more", [{}, {"no_such_key": 1}])
def test_secret_is_in_no_output(factory: Factory, document: dict[str, Any], more: dict[str, Any]) -> None:
    """Neither what is printed, nor the configuration as Python shows it, nor a refusal has the secret."""
    config, problems = load_dataclass(factory.config, {**document, **more})

    assert SECRET not in f"{config!r} {config} {problems}"
    if config is not None:
        assert SECRET not in as_json(plain(config))
        assert SECRET in as_json({"": plain(config, reveal=True)})


@pytest.mark.parametrize("key", ["endpoint", "proxy_url"])
def test_who_logs_in_by_a_url_is_in_no_output(key: str) -> None:
    """The name and the password in a URL are printed only where secrets are asked for."""
    factory = find_factories()[Kind.EXPORTERS]["otlp_http"]
    config, _ = load_dataclass(
        factory.config, {"endpoint": "http://a:1", key: f"http://user:{SECRET}@host:1/a@b?c=d@e"}
    )

    printed = plain(config)

    assert SECRET not in as_json(printed)
    assert printed[key] == "http://[REDACTED]@host:1/a@b?c=d@e"
    assert SECRET in as_json(plain(config, reveal=True))


@pytest.mark.parametrize("factory", FACTORIES, ids=lambda factory: factory.type)
def test_schema_has_no_secret(factory: Factory) -> None:
    """No default in the schema is a secret's text."""
    assert "REDACTED" not in as_json(config_schema(factory.config))
