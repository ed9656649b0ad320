"""YAML to plain values, with the line of each: bounded, and as the OpenTelemetry Collector reads it.

YAML 1.2 as Go reads it: ``yes`` and ``12:30`` are texts, a date is a text, a key is a text and appears once. Unknown
tags are refused. What a document may cost is bounded: size, depth, and the number of values with aliases written out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from provtel_collector_config.problems import InvalidConfigurationError, Path, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZE_LIMIT: Final = 1_000_000
DEPTH_LIMIT: Final = 100
VALUE_LIMIT: Final = 100_000

_TAG: Final = "tag:yaml.org,2002:"
_STR, _INT, _FLOAT, _BOOL, _NULL, _MERGE, _MAP, _SEQ = (
    _TAG + name for name in ("str", "int", "float", "bool", "null", "merge", "map", "seq")
)
_SCALARS: Final = (
    (_NULL, re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    (_BOOL, re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    (_INT, re.compile(r"[-+]?(?:[0-9][0-9_]*|0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+)\Z"), list("-+0123456789")),
    (_FLOAT, re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?\Z"), list("-+.0123456789")),
    (_FLOAT, re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"), list("-+.")),
    (_MERGE, re.compile(r"<<\Z"), ["<"]),
)


def _text(text: str) -> str:
    text.encode()  # a lone surrogate, written as an escape, is no text
    return text


def _integer(text: str) -> int:
    plain = text.replace("_", "")
    octal = plain.lstrip("+-").startswith("0") and plain.lstrip("+-").isdigit()
    return int(plain, 8 if octal else 0)


def _float(text: str) -> float:
    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))


_CONVERT: Final[dict[str, Callable[[str], Any]]] = {
    _STR: _text,
    _NULL: lambda _: None,
    _BOOL: lambda text: text.lower() == "true",
    _INT: _integer,
    _FLOAT: _float,
}


@dataclass(frozen=True, slots=True)
class Document:
    """What a source says.

    Args:
        tree: Its values: None, bool, int, float, str, lists and maps of them.
        places: Where each of them stands.
    """

    tree: Any
    places: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Path) -> Place | None:
        """Return where the nearest thing on the way to a path stands."""
        ways = (path[:length] for length in range(len(path), 0, -1))
        return next((self.places[way] for way in ways if way in self.places), None)


def parse(text: str, source: str) -> Document:
    """Return what a text says.

    Raises:
        InvalidConfigurationError: It is no YAML, or more of it than anybody writes.
    """
    if len(text) > SIZE_LIMIT:
        raise InvalidConfigurationError([Problem(f"has more than {SIZE_LIMIT} characters", place=Place(source, 1))])
    try:
        node = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        message = ", ".join(part for part in (error.context, error.problem) if part)
        raise InvalidConfigurationError([Problem(message, place=Place(source, line))]) from None
    except yaml.YAMLError as error:
        raise InvalidConfigurationError([Problem(f"{error}", place=Place(source, 1))]) from None
    reading = _Reading(source)
    return Document(reading.value(node, ()) if node else None, reading.places)


class _Loader(yaml.SafeLoader):
    """Composes nodes with the scalars of YAML 1.2, no deeper than `DEPTH_LIMIT`."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # the base class has one
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, counting how deep it lies."""
        self.depth += 1
        if self.depth > DEPTH_LIMIT:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # its stubs leave it out
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {DEPTH_LIMIT}", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _tag, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_tag, _pattern, _first)


class _Reading:
    """One walk over the nodes of a document."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[Path, Place] = {}
        self.values = 0
        self.characters = 0
        self.open: set[int] = set()

    def value(self, node: yaml.Node, path: Path) -> Any:
        """Return the value of a node, and note its place and those below it."""
        self.values += 1
        if self.values > VALUE_LIMIT:
            raise self.refused(node, f"has more than {VALUE_LIMIT} values, aliases written out")
        if id(node) in self.open:
            raise self.refused(node, "contains itself")
        self.places[path] = self.place(node)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == _MAP:
                return self.mapping(node, path)
            if isinstance(node, yaml.SequenceNode) and node.tag == _SEQ:
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self.scalar(node)
        finally:
            self.open.discard(id(node))

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        """Return a map; what it merges in comes first, so that its own keys win."""
        result: dict[str, Any] = {}
        for merged in self.merged(node):
            result = {**self.value(merged, path), **result}
        lines: dict[str, int] = {}
        for key, item in node.value:
            if key.tag == _MERGE:
                continue
            name = self.key(key)
            if name in lines:
                raise self.refused(key, f'mapping key "{name}" already defined at line {lines[name]}')
            lines[name] = self.place(key).line
            result[name] = self.value(item, (*path, name))
            self.places[*path, name] = self.place(key)
        self.places[path] = self.place(node)
        return result

    def merged(self, node: yaml.MappingNode) -> Iterator[yaml.MappingNode]:
        """Yield the maps that ``<<`` names, the strongest first."""
        for key, item in node.value:
            if key.tag == _MERGE:
                for one in item.value if isinstance(item, yaml.SequenceNode) else [item]:
                    if not isinstance(one, yaml.MappingNode):
                        raise self.refused(item, "<< merges maps only")
                    yield one

    def key(self, node: yaml.Node) -> str:
        """Return a key: a text, also where it looks like a number."""
        if not isinstance(node, yaml.ScalarNode) or node.tag not in {_STR, _INT, _FLOAT, _BOOL}:
            shown = node.value if isinstance(node, yaml.ScalarNode) else "of this kind"
            raise self.refused(node, f"the key {shown} is no text; write it in quotes")
        return str(self.scalar(node)) if node.tag == _STR else str(node.value)

    def scalar(self, node: yaml.Node) -> Any:
        """Return the value of a scalar."""
        convert = _CONVERT.get(node.tag)
        if convert is None or not isinstance(node, yaml.ScalarNode):
            raise self.refused(node, f"the tag {node.tag} is not supported")
        self.characters += len(node.value)
        if self.characters > SIZE_LIMIT:
            raise self.refused(node, f"has more than {SIZE_LIMIT} characters, aliases written out")
        try:
            return convert(node.value)
        except ValueError:
            raise self.refused(node, f"this is no {node.tag.removeprefix(_TAG)}") from None

    def place(self, node: yaml.Node) -> Place:
        """Return where a node begins."""
        return Place(self.source, node.start_mark.line + 1)

    def refused(self, node: yaml.Node, message: str) -> InvalidConfigurationError:
        """Return the error for a node that cannot be read."""
        return InvalidConfigurationError([Problem(message, place=self.place(node))])
