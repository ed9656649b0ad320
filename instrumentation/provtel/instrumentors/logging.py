"""`logging`: each line of a log is a log record of OTLP, with the ids of the task that wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from provtel_model import attributes as names

from provtel import errors, logs, notices
from provtel.instrumentors.base import Instrumentor
from provtel.recording import recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provtel_model.record import PlainError

    from provtel.instrumentors.base import Patching
    from provtel.instrumentors.patches import Patches

_OWN: Final = ("provtel", "opentelemetry")
_LEVELS_A_NAME: Final = 10
_NUMBERS_A_NAME: Final = 4
_MOST_SEVERE: Final = 24
_TEXTS: Final = {"WARNING": "WARN", "CRITICAL": "FATAL"}
"""What OTLP calls them."""


class LoggingInstrumentor(Instrumentor):
    """Keeps what passes the levels and filters of its logger, whichever handlers there are, and none of its own.

    Lines of OpenTelemetry and of provtel are not kept.
    """

    gives_way_to: ClassVar[str] = "opentelemetry.instrumentation.logging"

    def patchings(self) -> Mapping[str, Patching]:
        """Return what changes the module of logs."""
        return {"logging": _change_loggers}


def _change_loggers(module: Any, patches: Patches) -> None:
    known = frozenset(vars(module.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}

    def call_handlers(original: Callable[..., Any], logger: Any, record: Any, /, *args: Any, **kwargs: Any) -> Any:
        _keep(record, known)
        return original(logger, record, *args, **kwargs)

    # No handler: with one `logging.basicConfig` would do nothing.
    patches.replace(module.Logger, "callHandlers", call_handlers)


def _keep(line: Any, known: frozenset[str]) -> None:
    try:
        if not is_instrumentation_enabled() or line.name.partition(".")[0] in _OWN:
            return
        logs.emit(
            line.getMessage(),
            severity=_severity(line.levelno),
            severity_text=_TEXTS.get(line.levelname, line.levelname),
            attributes=_attributes(line, known),
            at=int(line.created * 1e9),
            scope={"name": line.name},
        )
    except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
        notices.capture_failed("a line of a log", error)


def _severity(level: int) -> int:
    """Return OTLP's number of a level; each of Python's names has four of them."""
    name, within = divmod(level, _LEVELS_A_NAME)
    if name < 1:
        return 0
    return min(name * _NUMBERS_A_NAME + 1 + min(within, _NUMBERS_A_NAME - 1), _MOST_SEVERE)


def _attributes(line: Any, known: frozenset[str]) -> dict[str, Any]:
    found = {name: value for name, value in vars(line).items() if name not in known}
    found |= {
        names.CODE_FILE_PATH: line.pathname,
        names.CODE_FUNCTION_NAME: line.funcName,
        names.CODE_LINE_NUMBER: line.lineno,
    }
    error = line.exc_info[1] if isinstance(line.exc_info, tuple) else None
    return {**found, **_raised(error)} if error is not None else found


def _raised(error: BaseException) -> dict[str, str]:
    taking = recorder()
    if taking is None:
        return {}
    said: PlainError = errors.describe(error, taking.snapshots.redaction)
    facts = {
        names.EXCEPTION_TYPE: said.get("type"),
        names.EXCEPTION_MESSAGE: said.get("message"),
        names.EXCEPTION_STACKTRACE: said.get("stacktrace"),
    }
    return {name: value for name, value in facts.items() if value}
