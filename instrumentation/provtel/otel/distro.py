"""The distro: what ``opentelemetry-instrument`` finds first, by the entry point ``opentelemetry_distro``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]  # its types are switched off

from provtel import notices

if TYPE_CHECKING:
    from opentelemetry.util._importlib_metadata import EntryPoint

NAME: Final = "provtel"
"""Name of the distro and of the configurator that goes with it, for ``OTEL_PYTHON_DISTRO`` and its like."""
CONFIGURATOR_VARIABLE: Final = "OTEL_PYTHON_CONFIGURATOR"
_WELL_KNOWN: Final = (DependencyConflictError, ImportError)


class Distro(BaseDistro):  # type: ignore[misc]  # as above
    """Chooses our configurator, and lets one library that cannot be instrumented keep no other from it."""

    chose_configurator = False
    """It was not the user who named the configurator."""

    def _configure(self, **kwargs: Any) -> None:  # noqa: ARG002  # the interface's
        if CONFIGURATOR_VARIABLE not in os.environ:
            os.environ[CONFIGURATOR_VARIABLE] = NAME
            type(self).chose_configurator = True

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Instrument a library.

        Raises:
            DependencyConflictError: It is there in a version that the instrumentation does not know.
            ImportError: Something that the instrumentation needs is not there.
        """
        try:
            super().load_instrumentor(entry_point, **kwargs)
        except _WELL_KNOWN:
            raise
        except Exception as error:  # noqa: BLE001  # another's code
            notices.say(
                f"instrument {entry_point.name}",
                f"{entry_point.name} is not instrumented: {type(error).__qualname__}: {error}; the program goes on; "
                f"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS={entry_point.name} leaves it alone",
            )
