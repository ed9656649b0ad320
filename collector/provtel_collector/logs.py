"""The collector's own log: to stderr, a line or an object for each thing that happened."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from provtel_collector_config.configuration import LogsConfig

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_NAMES: Final = {level: name for name, level in _LEVELS.items()}


def set_up_logs(config: LogsConfig) -> None:
    """Write the log of this process to stderr, in place of what was set up before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if config.encoding == "json" else _ConsoleFormatter())
    logging.basicConfig(level=_LEVELS[config.level.lower()], handlers=[handler], force=True)


class _ConsoleFormatter(logging.Formatter):
    """Time, level, where, and what, with tabs between, as the OpenTelemetry Collector writes them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, and below it the traceback where there is one."""
        line = "\t".join([_time(record), _level(record), record.name, record.getMessage()])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object, in one line."""
        said = {"ts": _time(record), "level": _level(record), "logger": record.name, "msg": record.getMessage()}
        if record.exc_info:
            said["stacktrace"] = self.formatException(record.exc_info)
        return json.dumps(said)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(record: logging.LogRecord) -> str:
    return _NAMES.get(record.levelno, record.levelname.lower())
