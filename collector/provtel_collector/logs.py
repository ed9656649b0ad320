"""The collector's own log: a line or an object for each thing that happened, to stderr or wherever it is wanted."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provtel_collector_config.telemetry import LogSampling, LogsConfig

_NAMES: Final = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn", logging.ERROR: "error"}
_LEVELS: Final = {
    **{name: level for level, name in _NAMES.items()},
    "warning": logging.WARNING,
    **dict.fromkeys(("dpanic", "panic", "fatal"), logging.CRITICAL),
}


_KINDS: Final = ("receivers", "processors", "exporters", "connectors", "extensions")
_PATH: Final = re.compile(rf"({'|'.join(_KINDS)})::([^:\s]+)")


def set_up_logs(config: LogsConfig, resource: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write the log of this process as it is configured, in place of what was set up before.

    Args:
        config: What the user wrote.
        resource: Which collector this is; told with every object.

    Raises:
        ConfigError: A file cannot be written.
    """
    handlers = list(_handlers(config.output_paths))
    formatter = _JsonFormatter(config, resource) if config.encoding == "json" else _ConsoleFormatter(config)
    for handler in handlers:
        handler.setFormatter(formatter)
        if config.sampling.enabled:
            handler.addFilter(_Sampling(config.sampling))
    logging.basicConfig(level=_LEVELS[config.level.lower()], handlers=handlers, force=True)


def _handlers(paths: Iterable[str]) -> Iterable[logging.Handler]:
    for path in dict.fromkeys(paths):
        if path in {"stderr", "stdout"}:
            yield logging.StreamHandler(sys.stderr if path == "stderr" else sys.stdout)
            continue
        try:
            yield logging.FileHandler(Path(path), encoding="utf-8")
        except OSError as error:
            message = f"{path}: cannot be written: {error.strerror}"
            raise ConfigError(message, "service::telemetry::logs::output_paths") from None


class _Sampling(logging.Filter):
    """Lets through the first of the same messages in a while, and few of those that follow."""

    def __init__(self, config: LogSampling) -> None:
        super().__init__()
        self._config = config
        self._lock = threading.Lock()
        self._seen: Counter[tuple[int, str]] = Counter()
        self._until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is written."""
        with self._lock:
            if record.created >= self._until:
                self._seen.clear()
                self._until = record.created + self._config.tick
            key = record.levelno, str(record.msg)
            self._seen[key] += 1
            beyond = self._seen[key] - self._config.initial
        return beyond <= 0 or (self._config.thereafter > 0 and beyond % self._config.thereafter == 0)


class _Formatter(logging.Formatter):
    def __init__(self, config: LogsConfig) -> None:
        super().__init__()
        self.fields: Mapping[str, Any] = config.initial_fields
        self.stacktrace = not config.disable_stacktrace

    def trace(self, record: logging.LogRecord) -> str:
        """Return the traceback of a record; empty where there is none to tell."""
        return self.formatException(record.exc_info) if record.exc_info and self.stacktrace else ""


class _ConsoleFormatter(_Formatter):
    """Time, level, where, and what, with tabs between, as the OpenTelemetry Collector writes them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, and below it the traceback where there is one."""
        parts = [_time(record), _level(record), record.name, record.getMessage()]
        line = "\t".join([*parts, json.dumps(self.fields)] if self.fields else parts)
        trace = self.trace(record)
        return f"{line}\n{trace}" if trace else line


class _JsonFormatter(_Formatter):
    """One JSON object a line, with the keys of the OpenTelemetry Collector."""

    def __init__(self, config: LogsConfig, resource: Mapping[str, str]) -> None:
        super().__init__(config)
        self._resource = dict(resource)

    def format(self, record: logging.LogRecord) -> str:
        """Return the object, in one line."""
        said: dict[str, Any] = {
            "level": _level(record),
            "ts": _time(record),
            "logger": record.name,
            "caller": f"{record.module}.py:{record.lineno}",
            "msg": record.getMessage(),
        }
        if self._resource:
            said["resource"] = self._resource
        said |= _component(record)
        if trace := self.trace(record):
            said["stacktrace"] = trace
        return json.dumps({**said, **self.fields})


def _component(record: logging.LogRecord) -> dict[str, str]:
    """Return which component says something; nothing where it is none.

    By convention a component begins with its id, or its path in the configuration, as the first argument of a message.
    """
    arguments = record.args if isinstance(record.args, tuple) else ()
    if not (str(record.msg).startswith("%s") and arguments and isinstance(arguments[0], str)):
        return {}
    path = _PATH.match(arguments[0])
    kind, id_ = (path[1], path[2]) if path else (_kind_of(record.name), arguments[0])
    return {"otelcol.component.id": id_, "otelcol.component.kind": kind.removesuffix("s")} if kind else {}


def _kind_of(logger: str) -> str:
    parts = logger.replace("provtel_exporters", "exporters").split(".")
    return next((part for part in parts if part in _KINDS), "")


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(record: logging.LogRecord) -> str:
    return _NAMES.get(record.levelno, record.levelname.lower())
