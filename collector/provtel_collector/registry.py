"""The component types that there are, as packages register them by entry point; ours come through the same door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from provtel_collector_config.ids import Kind
from provtel_model.components import Factory
from provtel_model.errors import UserError

_KINDS: Final = (Kind.RECEIVERS, Kind.PROCESSORS, Kind.EXPORTERS, Kind.CONNECTORS, Kind.EXTENSIONS)


def find_factories() -> dict[Kind, Mapping[str, Factory]]:
    """Return the factories of each kind by type; one is imported when it is looked up.

    Raises:
        UserError: Two packages register one type.
    """
    return {kind: _Registered(kind) for kind in _KINDS}


def find_loadable() -> tuple[dict[Kind, dict[str, Factory]], list[str]]:
    """Return the factories that can be imported, and why others cannot, for example for want of an extra."""
    loaded: dict[Kind, dict[str, Factory]] = {}
    missing: list[str] = []
    for kind, factories in find_factories().items():
        loaded[kind] = {}
        for type_ in factories:
            try:
                loaded[kind][type_] = factories[type_]
            except UserError as error:
                missing.append(str(error))
    return loaded, missing


def find_factory(kind: Kind, type_: str) -> Factory:
    """Return the factory of one type.

    Raises:
        UserError: There is none, or it cannot be imported.
    """
    try:
        return _Registered(kind)[type_]
    except KeyError:
        raise UserError(f'no installed package has the {kind.one} type "{type_}"') from None


def package_of(kind: Kind, type_: str) -> str:
    """Return the package that registers a type."""
    (entry,) = entry_points(group=f"provtel.{kind}", name=type_)
    return _package(entry)


class _Registered(Mapping[str, Factory]):
    """The factories of one kind, imported one by one."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._entries: dict[str, EntryPoint] = {}
        for entry in entry_points(group=f"provtel.{kind}"):
            other = self._entries.setdefault(entry.name, entry)
            if other is not entry:
                raise UserError(
                    f'the {kind.one} type "{entry.name}" is registered twice, by {_package(other)} and by '
                    f"{_package(entry)}; uninstall one of them"
                )

    def __getitem__(self, type_: str) -> Factory:
        entry = self._entries[type_]
        try:
            factory = entry.load()
        except (ImportError, AttributeError) as error:
            raise UserError(
                f'the {self._kind.one} type "{type_}" of {_package(entry)} cannot be loaded: {error}'
            ) from error
        if not isinstance(factory, Factory) or factory.type != type_:
            raise UserError(f'{entry.value} of {_package(entry)} is no factory of the {self._kind.one} type "{type_}"')
        return factory

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown package"
