"""The settings of the capture: arguments, then the environment, then ``provtel.toml``, then the defaults.

`TABLE` is all there are. A setting that cannot be understood never stops a program: its default holds, and one line on
stderr says which it was and what was wrong.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provtel_model.settings import Duration, Size
from provtel_model.store_folder import STORE_VARIABLE

from provtel import notices
from provtel.redaction import DEFAULT_PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME: Final = "provtel.toml"
PREFIX: Final = "PROVTEL_"
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_ALL: Final = 100
_FALSE: Final = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the capture runs by; `TABLE` says what each means."""

    disabled: bool = False
    endpoint: str | None = None
    exit_timeout: float = Duration(5)
    max_journal_size: int = Size(10 * 10**9)
    max_depth: int = 8
    max_items: int = 1000
    max_text: int = Size(4 * 2**10)
    max_value: int = Size(64 * 2**10)
    max_hashed: int = Size(2**20)
    hashing_share: float = 0.02
    redact: str = DEFAULT_PATTERN


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    Args:
        name: Its key in ``provtel.toml``; in the environment ``PROVTEL_`` and the name in capitals.
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
    Setting("disabled", "false", _switch, "Capture nothing; every call of provtel still works."),
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
    Setting("max_depth", "8", _whole_number, "Containers nested deeper are kept as a reference."),
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
        "redact", DEFAULT_PATTERN, _pattern, "Regular expression: values whose name it finds are kept as [REDACTED]."
    ),
)
"""Every setting of the capture but the store: where that is, readers must know too, so only `PROVTEL_STORE` says it."""

_BY_NAME: Final = {setting.name: setting for setting in TABLE}


@functools.cache
def current() -> Settings:
    """Return the settings of this process; read once."""
    return load(os.environ, find_file(Path.cwd()) if _has_working_folder() else None)


def find_file(folder: Path) -> Path | None:
    """Return the nearest ``provtel.toml`` from a folder upward."""
    for candidate in (folder, *folder.parents):
        if (candidate / FILE_NAME).is_file():
            return candidate / FILE_NAME
    return None


def load(environment: Mapping[str, str], file: Path | None) -> Settings:
    """Return the settings that the environment and a file say, and complain about what cannot be understood."""
    values: dict[str, Any] = {}
    if file is not None:
        values.update(_from_file(file))
    values.update(_from_environment(environment))
    return Settings(**values)


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    _complain_about_variables(environment)
    found: dict[str, object] = {}
    for setting in TABLE:
        for variable in (setting.also, setting.variable):
            text = environment.get(variable or "")
            if text:
                _put(found, setting, text, f"the variable {variable}")
    return found


def _from_file(file: Path) -> dict[str, object]:
    import tomllib

    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        notices.say(f"settings {file}", f"{file} is ignored: {error}")
        return {}
    found: dict[str, object] = {}
    for key, value in document.items():
        if key not in _BY_NAME:
            _complain(f"{file}: there is no setting {key!r}", key, _BY_NAME)
            continue
        text = str(value).lower() if isinstance(value, bool) else str(value)
        _put(found, _BY_NAME[key], text, f"{file}: {key}")
    return found


def _put(found: dict[str, object], setting: Setting, text: str, where: str) -> None:
    try:
        found[setting.name] = setting.parse(text)
    except ValueError as error:
        notices.say(
            f"settings {where}", f"{where} is ignored: {text!r} ({error}); the default holds: {setting.default}"
        )


def _complain_about_variables(environment: Mapping[str, str]) -> None:
    known = {setting.variable for setting in TABLE} | {STORE_VARIABLE}
    for variable in environment:
        # Only what is nearly a name of ours: a program may have variables of its own with our prefix.
        if variable.startswith(PREFIX) and variable not in known and _nearest(variable, known):
            _complain(f"the variable {variable} means nothing", variable, known)


def _complain(problem: str, word: str, known: Mapping[str, object] | set[str]) -> None:
    nearest = _nearest(word, known)
    hint = f"did you mean {nearest}?" if nearest else f"known are: {', '.join(sorted(known))}"
    notices.say(f"settings {word}", f"{problem}; {hint}")


def _nearest(word: str, known: Mapping[str, object] | set[str]) -> str | None:
    import difflib

    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.8)), None)


def _has_working_folder() -> bool:
    with contextlib.suppress(OSError):
        Path.cwd()
        return True
    return False
