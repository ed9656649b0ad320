"""What all instrumentors share: they wait for their library, change it, and put it back."""

from __future__ import annotations

import functools
import importlib.util
from abc import abstractmethod
from importlib import import_module
from logging import getLogger
from typing import TYPE_CHECKING, Any, ClassVar, Final

import wrapt
from opentelemetry.instrumentation.dependencies import DependencyConflict, get_dependency_conflicts
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]  # it has no types
    BaseInstrumentor,
)

from provtel import forking
from provtel.instrumentors.patches import Patches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from types import ModuleType

    Patching = Callable[[Any, Patches], None]

_log: Final = getLogger(__name__)
_active: Final[dict[str, Instrumentor]] = {}
_PACKAGE: Final = __name__.rpartition(".")[0]


class Instrumentor(BaseInstrumentor):  # type: ignore[misc]  # as above
    """An instrumentor whose library is left alone until the program imports it.

    A library that is missing, a version that is not supported, and a library that is not as expected are debug lines of
    the log; then nothing is changed. Where an instrumentor of OpenTelemetry's own collection for the same library is
    installed, that one does the work.

    Attributes:
        requires: The library and its versions as in a pyproject.toml; empty for the standard library.
        gives_way_to: Module of OpenTelemetry's own instrumentor.
    """

    requires: ClassVar[tuple[str, ...]] = ()
    gives_way_to: ClassVar[str] = ""
    _patches: list[Patches]

    @abstractmethod
    def patchings(self) -> Mapping[str, Patching]:
        """Return by name of a module the function that changes it once it is imported."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the library and its versions as in a pyproject.toml."""
        return self.requires

    def instrument(self, **kwargs: Any) -> None:
        """Change the library now, or when it is imported.

        Args:
            **kwargs: OpenTelemetry's: ``skip_dep_check``, with which nobody looks for the library before the program
                imports it, and ``raise_exception_on_conflict``.
        """
        if not (kwargs.get("skip_dep_check") or kwargs.get("raise_exception_on_conflict")):
            conflict = self._check_dependency_conflicts()
            if conflict is not None:
                _log.debug("%s changes nothing: %s", type(self).__name__, conflict)
                return
        super().instrument(**kwargs)

    def _instrument(self, **_: Any) -> None:
        if self._is_done_by_another():
            _log.debug("%s gives way to %s", type(self).__name__, self.gives_way_to)
            return
        self._patches = []
        _active[self.name()] = self
        for name, patching in self.patchings().items():
            patches = Patches()
            self._patches.append(patches)
            with forking.guard:
                wrapt.register_post_import_hook(functools.partial(self._change, patching, patches), name)

    def _uninstrument(self, **_: Any) -> None:
        _active.pop(self.name(), None)
        for patches in getattr(self, "_patches", ()):
            patches.undo()
        self._patches = []

    @classmethod
    def name(cls) -> str:
        """Return the name of the module that it is in, which is the library's."""
        return cls.__module__.rpartition(".")[2]

    def _change(self, patching: Patching, patches: Patches, module: ModuleType) -> None:
        """Change a module that was just imported; never raises: the import is the program's."""
        if not patches.active:
            return
        try:
            conflict = self._check_dependency_conflicts()
            if conflict is None:
                patching(module, patches)
                return
            _log.debug("%s changes nothing: %s", type(self).__name__, conflict)
        except Exception:  # noqa: BLE001  # a version of the library that nobody knows
            _log.debug("%s does not know this %s", type(self).__name__, module.__name__, exc_info=True)
        patches.undo()

    def _check_dependency_conflicts(self) -> DependencyConflict | None:
        return get_dependency_conflicts(self.requires)

    def _is_done_by_another(self) -> bool:
        if not self.gives_way_to:
            return False
        try:
            return importlib.util.find_spec(self.gives_way_to) is not None
        except ImportError:
            return False


def active() -> str:
    """Return the names of the instrumentors that are active in this process, for `activate` in another one."""
    return " ".join(_active)


@functools.lru_cache(maxsize=100)
def activate(names: str) -> None:
    """Activate in this process the instrumentors that another one has; never raises."""
    for name in names.split():
        if name in _active:
            continue
        try:
            module = import_module(f"{_PACKAGE}.{name}")
            (found,) = (
                value
                for value in vars(module).values()
                if isinstance(value, type) and issubclass(value, Instrumentor) and value.__module__ == module.__name__
            )
            found().instrument(skip_dep_check=True)
        except Exception:  # noqa: BLE001  # the program goes on whatever went wrong
            _log.debug("the instrumentor %s could not be activated here", name, exc_info=True)
