"""The reference pages of the collector's components, from the dataclasses that read their configurations."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from provtel_collector.registry import find_factories, package_of
from provtel_collector_config.ids import Kind
from provtel_collector_config.keys import REQUIRED, Key, is_map, keys_of, summary, without_none
from provtel_collector_config.printing import plain
from provtel_collector_config.shared import is_shared
from provtel_collector_config.telemetry import TelemetryConfig
from provtel_model.components import Factory
from provtel_model.settings import Duration, Secret, Size

FOLDER = "reference/components"
ROOT = Path(__file__).parents[2]
TABLE = "| key | value | default | meaning |\n|---|---|---|---|\n"
WORDS: Mapping[Any, str] = {
    bool: "yes or no",
    int: "integer",
    float: "number",
    str: "text",
    Any: "anything",
    Duration: "duration",
    Size: "size",
    Secret: "secret",
}
INTRODUCTION = """\
# Components of the collector

What a configuration can name; [how a collector is configured](../../explanation/configuration.md) says how. Each page
comes from the code that reads the configuration, as does the schema that `provtel collector schema` prints for editors.

Durations are written `200ms`, `1.5s` or `1h2m`, sizes `64KiB`, `4MiB` or as a number of bytes; a secret shows itself in
no output. Where a value is not written, its default counts. A file that names only components which the OpenTelemetry
Collector has too, as the column otelcol says, runs on both.
"""
TELEMETRY = """\
# `service.telemetry`

What the collector says of itself: its log, and its metrics under the OpenTelemetry Collector's names.

"""


def pages() -> Iterator[tuple[str, str]]:
    """Yield each page's place and text."""
    ours = {
        kind: {type_: factory for type_, factory in factories.items() if package_of(kind, type_) == "provtel"}
        for kind, factories in find_factories().items()
    }
    yield f"{FOLDER}/README.md", _index(ours)
    yield f"{FOLDER}/telemetry.md", TELEMETRY + TABLE + "".join(_rows(TelemetryConfig))
    for kind, factories in ours.items():
        for type_, factory in factories.items():
            yield f"{FOLDER}/{kind}/{type_}.md", _page(kind, factory)


def _index(factories: Mapping[Kind, Mapping[str, Factory]]) -> str:
    parts = [INTRODUCTION, "\nWhat the collector says of itself is set in [`service.telemetry`](telemetry.md).\n"]
    for kind, known in factories.items():
        if known:
            parts.append(f"\n## {kind.title()}\n\n| type | stability | signals | otelcol |\n|---|---|---|---|\n")
            parts += [_row_of(kind, factory) for factory in known.values()]
    return "".join(parts)


def _row_of(kind: Kind, factory: Factory) -> str:
    name = f"[`{factory.type}`]({kind}/{factory.type}.md)"
    too = "too" if is_shared(kind, factory.type) else ""
    return f"| {name} | {factory.stability} | {_signals(kind, factory)} | {too} |\n"


def _page(kind: Kind, factory: Factory) -> str:
    readme = Path(inspect.getfile(factory.config)).with_name("README.md")
    here = ROOT / "docs" / FOLDER / kind
    carried = f" It carries {_signals(kind, factory)}." if kind is not Kind.EXTENSIONS else ""
    rows = "".join(_rows(factory.config))
    return (
        f"# `{factory.type}` {kind.one}\n\n{summary(factory.config)}\n\n"
        f"Its stability is {factory.stability}.{carried} [What it does]({os.path.relpath(readme, here)}).\n\n"
        + (TABLE + rows if rows else "It has no keys.\n")
    )


def _signals(kind: Kind, factory: Factory) -> str:
    return ", ".join(sorted(factory.signals)) if kind is not Kind.EXTENSIONS else ""


def _rows(config: type[Any], path: str = "") -> Iterator[str]:
    """Yield a row for each key, those inside of it below it."""
    for key in keys_of(config):
        name = path + key.name
        meaning = key.meaning.replace("|", "\\|")
        yield f"| `{name}` | {_words(key.kind)} | {_default(key)} | {meaning} |\n"
        inner, below = _inside(key.kind)
        if inner is not None:
            yield from _rows(inner, name + below)


def _inside(kind: Any) -> tuple[type[Any] | None, str]:
    """Return the dataclass whose keys lie inside of a value, and how the way there is written."""
    kind = without_none(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return kind, "."
    if get_origin(kind) is Union:
        return next((found for found in map(_inside, get_args(kind)) if found[0] is not None), (None, ""))
    arguments = get_args(kind)
    if get_origin(kind) in {tuple, list}:
        inner, below = _inside(arguments[0])
        return inner, "[]" + below
    if is_map(kind) and arguments:
        inner, below = _inside(arguments[-1])
        return inner, ".NAME" + below
    return None, ""


def _words(kind: Any) -> str:
    """Return what a value looks like, in words."""
    kind = without_none(kind)
    if get_origin(kind) is Union:
        return " or ".join(_words(member) for member in get_args(kind))
    if get_origin(kind) is Literal:
        return ", ".join("empty" if choice == "" else f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) in {tuple, list}:
        return f"list of {_words(get_args(kind)[0])}"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    if is_map(kind):
        inner = [] if dataclasses.is_dataclass(kind) else get_args(kind)
        return f"map of {_words(inner[-1])}" if inner else "map"
    return WORDS.get(kind, "text")


def _default(key: Key) -> str:
    if key.default is REQUIRED:
        return "required"
    if key.default is None or _inside(key.kind)[1] == ".":
        return ""
    if key.default == Secret(""):
        return "empty"
    written = plain(key.default)
    text = written if isinstance(written, str) else json.dumps(written)
    return f"`{text}`".replace("|", "\\|") if text else "empty"
