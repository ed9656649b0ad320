"""Variables of OpenTelemetry's SDK that have no meaning here: each that is set is said, with what to do instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel import notices

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALL_ON: Final = "everything is recorded; OTEL_PYTHON_DISABLED_INSTRUMENTATIONS leaves libraries alone"
_AT_ONCE: Final = "records go to the journal at once, and no queue in memory holds them"
_OWN_LIMIT: Final = "log records have the limits of tasks, such as PROVTEL_MAX_TEXT"
_UNHEEDED: Final = {
    "OTEL_CONFIG_FILE": "provtel is set up by variables and its own file",
    "OTEL_PYTHON_TRACER_CONFIGURATOR": _ALL_ON,
    "OTEL_PYTHON_METER_CONFIGURATOR": _ALL_ON,
    "OTEL_PYTHON_LOGGER_CONFIGURATOR": _ALL_ON,
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": _OWN_LIMIT,
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT": _OWN_LIMIT,
}
_BATCHES: Final = ("SCHEDULE_DELAY", "EXPORT_TIMEOUT", "MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE")
_DETECTORS: Final = "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"
_DETECTED: Final = ("otel", "process", "os", "host", "*")


def say_unheeded(environment: Mapping[str, str], *, exports_spans: bool) -> None:
    """Say each variable that is set and not heeded, once.

    Args:
        environment: The variables.
        exports_spans: An exporter beside the journal gets the spans, in batches of the SDK.
    """
    prefixes = ("OTEL_BLRP_",) if exports_spans else ("OTEL_BLRP_", "OTEL_BSP_")
    batches = {prefix + name: _AT_ONCE for prefix in prefixes for name in _BATCHES}
    for variable, reason in (_UNHEEDED | batches).items():
        if environment.get(variable):
            notices.say(f"unheeded {variable}", f"the variable {variable} is not heeded: {reason}")
    names = [name.strip() for name in environment.get(_DETECTORS, "").split(",")]
    for name in names:
        if name and name not in _DETECTED and not name.startswith("provtel_"):
            notices.say(
                f"detector {name}",
                f"the detector {name!r} of {_DETECTORS} is left out: provtel asks its own, all of them; "
                "what else is to be known goes into OTEL_RESOURCE_ATTRIBUTES",
            )
