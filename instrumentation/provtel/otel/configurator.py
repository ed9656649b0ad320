"""The configurator: installs our providers, as the variables of OpenTelemetry say."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import _logs, trace

from provtel import notices, settings
from provtel.carrier import BAGGAGE, TRACEPARENT
from provtel.joining import make_current
from provtel.otel import meter_provider, program
from provtel.otel.distro import CONFIGURATOR_VARIABLE, Distro
from provtel.otel.logger import JournalLoggerProvider
from provtel.otel.provider import TracerProvider
from provtel.otel.unheeded import say_unheeded

if TYPE_CHECKING:
    from collections.abc import Mapping

_DISABLED: Final = "OTEL_SDK_DISABLED"
_EXPORTERS: Final = "OTEL_TRACES_EXPORTER"
_LOG_EXPORTERS: Final = "OTEL_LOGS_EXPORTER"
_ID_GENERATOR: Final = "OTEL_PYTHON_ID_GENERATOR"
_OURS: Final = "otlp"
_NONE: Final = "none"


class Configurator:
    """Installs what records the spans of every library that uses OpenTelemetry.

    Spans go to the journal, and from there to the store, or to the endpoint where there is one. An exporter that
    ``OTEL_TRACES_EXPORTER`` names besides ``otlp`` gets them too; with ``none`` spans go nowhere, and tasks are
    recorded as ever.
    """

    def configure(self, **kwargs: Any) -> None:  # noqa: ARG002  # what its caller says
        """Install them; where a program has installed others already, those stay."""
        if Distro.chose_configurator:
            # A child may have another environment, in which there is none of this name.
            os.environ.pop(CONFIGURATOR_VARIABLE, None)
        if os.environ.get(_DISABLED, "").strip().lower() == "true":
            return
        names = _names(os.environ, _EXPORTERS)
        say_unheeded(os.environ, exports_spans=not {_OURS, _NONE}.issuperset(names))
        if (TRACEPARENT in os.environ or BAGGAGE in os.environ) and settings.current().join:
            make_current(os.environ)
        provider = TracerProvider(id_generator=_id_generator(), is_journaled=_NONE not in names)
        trace.set_tracer_provider(provider)
        _install_logs()
        wanted = [name for name in _names(os.environ, meter_provider.VARIABLE, "") if name != _NONE]
        if wanted:
            meter_provider.install(wanted, os.environ)
        if settings.current().program:
            program.begin()
        for name in names:
            if name not in {_OURS, _NONE}:
                _add_exporter(provider, name)


def _install_logs() -> None:
    names = _names(os.environ, _LOG_EXPORTERS)
    if _NONE not in names:
        _logs.set_logger_provider(JournalLoggerProvider())
    for name in names:
        if name not in {_OURS, _NONE}:
            notices.say(
                f"log exporter {name}",
                f"the exporter {name!r} of {_LOG_EXPORTERS} is left out: log records go to the journal, and from there "
                "to the store or the endpoint",
            )


def _names(environment: Mapping[str, str], variable: str, default: str = _OURS) -> list[str]:
    """Return the names of the exporters that a variable wants; without it that is ours, or what is said here."""
    names = [name.strip() for name in environment.get(variable, "").split(",") if name.strip()]
    return names or ([default] if default else [])


def _add_exporter(provider: TracerProvider, name: str) -> None:
    found = next(iter(entry_points(group="opentelemetry_traces_exporter", name=name)), None)
    if found is None:
        notices.say(
            f"exporter {name}",
            f"the exporter {name!r} of {_EXPORTERS} is left out: no package that is installed has it; "
            "console comes with opentelemetry-sdk",
        )
        return
    try:
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider.add_span_processor(BatchSpanProcessor(found.load()()))
    except Exception as error:  # noqa: BLE001  # another's code
        notices.say(f"exporter {name}", f"the exporter {name!r} of {_EXPORTERS} cannot be made: {error}")


def _id_generator() -> Any:
    name = os.environ.get(_ID_GENERATOR, "random").strip()
    if name in {"", "random"}:
        return None
    found = next(iter(entry_points(group="opentelemetry_id_generator", name=name)), None)
    if found is None:
        notices.say("ids", f"the variable {_ID_GENERATOR} is ignored: no package that is installed has {name!r}")
        return None
    return found.load()()
