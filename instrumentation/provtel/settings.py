"""The settings of the capture: arguments, then the environment, then a file, then the defaults.

The file is ``provtel.toml``, or the table ``[tool.provtel]`` of a pyproject.toml, found upward from the working folder.

`TABLE` is all there are. A setting that cannot be understood never stops a program: its default holds, and one line on
stderr says which it was and what was wrong.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provtel_model.settings import Duration, Size
from provtel_model.store_folder import STORE_VARIABLE

from provtel import notices, recording
from provtel.redaction import DEFAULT_PATTERN, without_passwords
from provtel.telemetry import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME: Final = "provtel.toml"
PROJECT_FILE: Final = "pyproject.toml"
PREFIX: Final = "PROVTEL_"
_TRACES_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_TRACES_PATH: Final = "/v1/traces"
SAMPLED: Final = ("process", "cpu", "memory", "disk", "network", "gpu")
"""What the sampler measures by default."""
_GROUPS: Final = (*SAMPLED, "per_cpu")
_SHORTEST_PERIOD: Final = 0.1
_DEEPEST: Final = 12
"""A map with keys that are no text takes seven messages of protobuf, whose parsers take a hundred in each other."""
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_ALL: Final = 100
_FALSE: Final = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the capture runs by; `TABLE` says what each means."""

    disabled: bool = False
    program: bool = True
    join: bool = True
    telemetry: Level = Level.CPU
    sampler: float = 0.0
    sampler_groups: tuple[str, ...] = SAMPLED
    endpoint: str | None = None
    exit_timeout: float = Duration(5)
    max_journal_size: int = Size(10 * 10**9)
    max_depth: int = 8
    max_items: int = 1000
    max_text: int = Size(4 * 2**10)
    max_value: int = Size(64 * 2**10)
    max_hashed: int = Size(2**20)
    hashing_share: float = 0.02
    keep_content: int = Size(0)
    max_content: int = Size(10 * 10**9)
    redact: str = DEFAULT_PATTERN


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    Args:
        name: Its key in a file; in the environment ``PROVTEL_`` and the name in capitals.
        default: What holds without it, as a person writes it.
        parse: Makes the value from a text; raises ``ValueError`` with a reason.
        meaning: What it does, for people.
        also: Another variable of the environment that is asked where ours is not set.
    """

    name: str
    default: str
    parse: Callable[[str], object]
    meaning: str
    also: str | None = None

    @property
    def variable(self) -> str:
        """Return its name in the environment."""
        return PREFIX + self.name.upper()


def _switch(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    msg = "write true or false"
    raise ValueError(msg)


def _level(text: str) -> Level:
    word = text.strip().lower()
    if word in _TRUE:
        return Level.CPU
    if word in _FALSE:
        return Level.OFF
    if word in {*Level}:
        return Level(word)
    msg = "write off, cpu or full"
    raise ValueError(msg)


def _period(text: str) -> float:
    word = text.strip().lower()
    if word in _FALSE:
        return 0.0
    seconds = float(Duration.parse("1s" if word in _TRUE else text))
    if seconds < _SHORTEST_PERIOD:
        msg = "write 100ms or more, or off"
        raise ValueError(msg)
    return seconds


def _groups(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.strip() for word in text.lower().split(",") if word.strip()))
    unknown = [word for word in words if word not in _GROUPS]
    if unknown or not words:
        msg = f"write some of {', '.join(_GROUPS)}, with commas between them"
        raise ValueError(msg)
    return words


def _address(text: str) -> str:
    if not re.match(r"https?://[^/\s]+", text):
        msg = "write an address such as http://localhost:4318"
        raise ValueError(msg)
    return text.rstrip("/")


def _whole_number(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        msg = "write a whole number of 1 or more"
        raise ValueError(msg)
    return int(text)


def _depth(text: str) -> int:
    number = _whole_number(text)
    if number > _DEEPEST:
        msg = f"write {_DEEPEST} or less, because readers of OTLP refuse what is nested deeper"
        raise ValueError(msg)
    return number


def _share(text: str) -> float:
    number = text.strip().removesuffix("%")
    if not number.replace(".", "", 1).isdecimal() or not text.strip().endswith("%") or float(number) > _ALL:
        msg = "write a share such as 2% or 100%"
        raise ValueError(msg)
    return float(number) / _ALL


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        msg = f"it is no regular expression: {error}"
        raise ValueError(msg) from None
    return text


TABLE: Final = (
    Setting(
        "disabled",
        "false",
        _switch,
        "Capture nothing; every call of provtel still works.",
        also="OTEL_SDK_DISABLED",
    ),
    Setting(
        "program",
        "true",
        _switch,
        "What `opentelemetry-instrument` runs is a workflow, unless it belongs to one; `false` suits a server, whose "
        "requests are traces of their own.",
    ),
    Setting(
        "join",
        "true",
        _switch,
        "Belong to the trace and the run that `TRACEPARENT` and `BAGGAGE` of the environment tell, else to that of the "
        "batch job, where nothing else is current.",
    ),
    Setting(
        "telemetry",
        "cpu",
        _level,
        "Measure of what tasks cost: `cpu` time; with `full` memory, I/O, context switches and children too; or `off`. "
        "A task that says `telemetry=` is measured as it says, but for `off`.",
    ),
    Setting(
        "sampler",
        "off",
        _period,
        "How often a thread measures process, machine and GPUs, such as `1s`; `off` for never.",
    ),
    Setting(
        "sampler_groups",
        ",".join(SAMPLED),
        _groups,
        "What it measures, with commas between; `per_cpu` too where each CPU is to be told apart.",
    ),
    Setting(
        "endpoint",
        "none",
        _address,
        "OTLP/HTTP address to ship to; without one nothing runs in the background.",
        also="OTEL_EXPORTER_OTLP_ENDPOINT",
    ),
    Setting(
        "exit_timeout", "5s", Duration.parse, "How long a process waits at its end for what is not acknowledged yet."
    ),
    Setting(
        "max_journal_size",
        "10GB",
        Size.parse,
        "Records beyond this size of the store's journals, or beyond 10 % of the free space, are dropped and counted.",
    ),
    Setting("max_depth", "8", _depth, "Containers nested deeper are kept as a reference."),
    Setting("max_items", "1000", _whole_number, "Containers with more items are kept as a reference."),
    Setting("max_text", "4KiB", Size.parse, "Longer text and bytes are kept as a reference."),
    Setting("max_value", "64KiB", Size.parse, "A value that is larger in all is kept as a reference."),
    Setting("max_hashed", "1MiB", Size.parse, "Larger content is known by a fingerprint of a sample at most."),
    Setting(
        "hashing_share",
        "2%",
        _share,
        "Hashes of content beyond 64 KiB take at most this share of the program's time, and are left out after that; "
        "`100%` makes them all.",
    ),
    Setting(
        "keep_content",
        "0",
        Size.parse,
        "Values of up to so many bytes, too large for a record, are kept whole, in the store's folder `content`.",
    ),
    Setting(
        "max_content",
        "10GB",
        Size.parse,
        "So many bytes are kept in all, and none where less than 10 % of the disk is free.",
    ),
    Setting(
        "redact", DEFAULT_PATTERN, _pattern, "Regular expression: values whose name it finds are kept as [REDACTED]."
    ),
)
"""Every setting of the capture but the store: where that is, readers must know too, so only `PROVTEL_STORE` says it."""

_DEFAULTS: Final = Settings()
_BY_NAME: Final = {setting.name: setting for setting in TABLE}


_arguments: Final[dict[str, Any]] = {}


def configure(**arguments: object) -> None:
    """Say in the program itself what it runs by; that comes before the environment and files.

    Args:
        **arguments: Settings by name, as they are written in a file, or ``None`` for what holds without it.

    Raises:
        TypeError: There is no setting of that name.
        ValueError: A value cannot be understood.
    """
    found: dict[str, object] = {}
    for name, value in arguments.items():
        if name not in _BY_NAME:
            raise TypeError(f"there is no setting {name!r}; {_hint(name, _BY_NAME)}")
        try:
            found[name] = None if value is None else _parse(_BY_NAME[name], value)
        except ValueError as error:
            raise ValueError(f"{name} is {value!r}: {error}") from None
    if recording._current is not None:  # noqa: SLF001  # to ask for a recorder would make one
        notices.say("configure late", "configure has no effect: something was recorded already; call it before that")
        return
    _arguments.update(found)
    current.cache_clear()


@functools.cache
def current() -> Settings:
    """Return the settings of this process; read once."""
    said = {name: value for name, value in _arguments.items() if value is not None}
    return replace(load(os.environ, find_file(Path.cwd()) if _has_working_folder() else None), **said)


def find_file(folder: Path) -> Path | None:
    """Return the nearest file with settings from a folder upward: ``provtel.toml``, or a pyproject.toml with our table.

    Where others than this user and the system's administrator can say what is in it, it is passed over: it may send
    what is recorded to somebody else.
    """
    for candidate in (folder, *folder.parents):
        for file in (candidate / FILE_NAME, candidate / PROJECT_FILE):
            if _has_settings(file) and _is_trusted(file):
                return file
    return None


def _has_settings(file: Path) -> bool:
    try:
        return file.is_file() and (file.name == FILE_NAME or b"tool.provtel" in file.read_bytes())
    except OSError:
        return False


def _is_trusted(file: Path) -> bool:
    status = file.stat()
    if status.st_uid in {os.geteuid(), 0}:
        return True
    notices.say(f"settings {file}", f"{file} is ignored: it belongs to another user")
    return False


def load(environment: Mapping[str, str], file: Path | None) -> Settings:
    """Return the settings that the environment and a file say, and complain about what cannot be understood."""
    values: dict[str, Any] = {}
    if file is not None:
        values.update(_from_file(file))
    values.update(_from_environment(environment))
    return Settings(**values)


def in_force(settings: Settings) -> dict[str, object]:
    """Return those settings that are not the defaults, by name, as plain values."""
    found: dict[str, object] = {}
    for setting in TABLE:
        value, default = getattr(settings, setting.name), getattr(_DEFAULTS, setting.name)
        if value != default:
            found[setting.name] = _plain(value)
    return found


def _plain(value: object) -> object:
    if isinstance(value, str):
        return without_passwords(str(value))
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, tuple):
        return ",".join(value)
    return int(value) if isinstance(value, int) else float(value)  # type: ignore[arg-type]  # the last kind there is


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    _complain_about_variables(environment)
    found: dict[str, object] = {}
    for setting in TABLE:
        for variable in (setting.also, setting.variable):
            text = environment.get(variable or "")
            if text:
                _put(found, setting, text, f"the variable {variable}")
    _add_endpoint_of_traces(found, environment)
    return found


def _add_endpoint_of_traces(found: dict[str, object], environment: Mapping[str, str]) -> None:
    """Take the endpoint of traces for all, where none is told for all: tasks are spans."""
    text = environment.get(_TRACES_ENDPOINT, "").removesuffix(_TRACES_PATH)
    if text and "endpoint" not in found:
        _put(found, _BY_NAME["endpoint"], text, f"the variable {_TRACES_ENDPOINT}")


def _from_file(file: Path) -> dict[str, object]:
    import tomllib

    try:
        text = file.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, ValueError) as error:
        notices.say(f"settings {file}", f"{file} is ignored: {error}")
        return {}
    if file.name == PROJECT_FILE:
        document = document.get("tool", {}).get("provtel", {})
    found: dict[str, object] = {}
    for key, value in document.items():
        where = f"{file}{_line_of(key, text)}"
        if key not in _BY_NAME:
            _complain(f"{where}: there is no setting {key!r}", key, _BY_NAME)
        else:
            _put(found, _BY_NAME[key], value, f"{where}: {key}")
    return found


def _line_of(key: str, text: str) -> str:
    """Return the number of the line that a key is on, as editors take it."""
    found = [number for number, line in enumerate(text.splitlines(), 1) if re.match(rf"\W*{re.escape(key)}\W*=", line)]
    return f":{found[0]}" if len(found) == 1 else ""


def _parse(setting: Setting, value: object) -> object:
    if isinstance(value, dict | list):
        msg = "write one value"
        raise ValueError(msg)  # noqa: TRY004  # a user's mistake like the others
    return setting.parse(str(value).lower() if isinstance(value, bool) else str(value))


def _put(found: dict[str, object], setting: Setting, value: object, where: str) -> None:
    try:
        found[setting.name] = _parse(setting, value)
    except ValueError as error:
        notices.say(
            f"settings {where}", f"{where} is ignored: {value!r} ({error}); the default holds: {setting.default}"
        )


def _complain_about_variables(environment: Mapping[str, str]) -> None:
    known = {setting.variable for setting in TABLE} | {STORE_VARIABLE}
    for variable in environment:
        # Only what is nearly a name of ours: a program may have variables of its own with our prefix.
        if variable.startswith(PREFIX) and variable not in known and _nearest(variable, known):
            _complain(f"the variable {variable} means nothing", variable, known)


def _complain(problem: str, word: str, known: Mapping[str, object] | set[str]) -> None:
    notices.say(f"settings {word}", f"{problem}; {_hint(word, known)}")


def _hint(word: str, known: Mapping[str, object] | set[str]) -> str:
    nearest = _nearest(word, known)
    return f"did you mean {nearest}?" if nearest else f"known are: {', '.join(sorted(known))}"


def _nearest(word: str, known: Mapping[str, object] | set[str]) -> str | None:
    import difflib

    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.8)), None)


def _has_working_folder() -> bool:
    with contextlib.suppress(OSError):
        Path.cwd()
        return True
    return False
