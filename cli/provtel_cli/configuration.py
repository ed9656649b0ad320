"""The collector's configuration: reading it, and finding the stores that it names."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from provtel_model.components import FeedConfig, StoreConfig
from provtel_model.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_collector_config.configuration import Configuration
    from provtel_collector_config.sources import Sources

_EXTRA: Final = ("hpack", "httptools", "pydantic")


def loaded(sources: Sources, *, check: bool = True) -> Configuration:
    """Return the configuration that sources say together.

    Raises:
        UserError: It cannot be used; every problem is told.
    """
    from provtel_collector.registry import find_factories
    from provtel_collector_config.loading import load
    from provtel_collector_config.problems import InvalidConfigurationError

    try:
        return load(sources, find_factories(), check_references=check)
    except InvalidConfigurationError as error:
        lines = "".join(f"\n  {line}" for line in (*error.warnings, *error.problems))
        raise UserError(f"the configuration cannot be used{lines}") from error


def need_extra() -> None:
    """Say what to install where a plain install is all there is.

    Raises:
        UserError: Something is missing.
    """
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        raise UserError(f'a collector needs {", ".join(missing)}; run: pip install "provtel[collector]"')


def location_of(configs: Sequence[str], name: str | None) -> str:
    """Return where a store is that a configuration names.

    Args:
        configs: What ``--config`` was given.
        name: The id of its exporter; ``None`` where there is only one store.

    Raises:
        UserError: The configuration cannot be used, or names no such store, or several; or what can only be watched
            cannot be by a command.
    """
    need_extra()
    from provtel_collector_config.ids import Kind
    from provtel_collector_config.sources import Sources

    exporters = loaded(Sources(tuple(configs)), check=False).components[Kind.EXPORTERS]
    stores = {str(id_): one.config for id_, one in exporters.items() if isinstance(one.config, StoreConfig)}
    feeds = {str(id_): one.config for id_, one in exporters.items() if isinstance(one.config, FeedConfig)}
    known = ", ".join(stores) or "none"
    if name is None and len(stores) != 1:
        raise UserError(f"--store must say which store of the configuration is meant; there are {known}")
    if name in feeds:
        return feeds[name].feed()
    found = stores.get(name) if name is not None else next(iter(stores.values()))
    if found is None:
        raise UserError(f"the configuration has no store {name!r}; its stores are {known}")
    return found.location()
