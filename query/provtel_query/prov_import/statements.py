"""The statements of a document, or of one bundle in it, with names as URIs and values as Python has them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from provtel_model.record import nanoseconds_of

from provtel_query.prov_import.canonical import BUNDLES, PREFIXES, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROV: Final = {"prov": "http://www.w3.org/ns/prov#", "xsd": "http://www.w3.org/2001/XMLSchema#"}
_NAMES: Final = frozenset({"xsd:QName", "prov:QUALIFIED_NAME"})
_WHOLE: Final = frozenset({"int", "long", "integer", "short", "byte", "nonNegativeInteger", "positiveInteger"})
_WHOLE_TOO: Final = frozenset({"unsignedInt", "unsignedLong", "unsignedShort", "unsignedByte", "negativeInteger"})
_BROKEN: Final = frozenset({"double", "float", "decimal"})
_LATEST: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Args:
        id: The URI of what it is about, or of itself where it is a relation.
        says: What it says, as PROV-JSON has it.
        instance: Where it is said.
    """

    id: str
    says: dict[str, Any]
    instance: Instance

    def uri(self, argument: str) -> str | None:
        """Return the URI that an argument names."""
        named = self.says.get(argument)
        return self.instance.uri(named) if isinstance(named, str) else None

    def time(self, argument: str) -> int | None:
        """Return a time in nanoseconds since the epoch; one without an offset is taken as UTC.

        ``None`` where there is none, or it is not between 1970 and 2262, which is what a record can hold.
        """
        told = self.says.get(argument)
        try:
            moment = dt.datetime.fromisoformat(told) if isinstance(told, str) else None
        except ValueError:
            return None
        if moment is None:
            return None
        try:
            time = nanoseconds_of(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))
        except OverflowError:
            return None
        return time if 0 < time < _LATEST else None

    def values(self, attribute: str) -> list[Any]:
        """Return the values of an attribute: names as URIs, numbers and truth values as such, the rest as text."""
        return [self.instance.value(each) for each in listed(self.says.get(attribute, []))]

    def texts(self, attribute: str) -> list[str]:
        """Return the values of an attribute as people read them: of names what follows the prefix."""
        return [self.instance.local(str(each)) for each in self.values(attribute)]


@dataclass(slots=True)
class Instance:
    """A document without its bundles, or one bundle.

    Args:
        content: Its statements as canonical PROV-JSON.
        prefixes: The namespaces by prefix.
        bundle: The URI of the bundle; empty for the document.
    """

    content: dict[str, Any]
    prefixes: dict[str, str]
    bundle: str = ""
    _names: dict[str, str] = field(default_factory=dict)

    def of(self, kind: str) -> Iterator[Statement]:
        """Yield the statements of a kind, by its name in PROV-N."""
        for name, said in self.content.get(kind, {}).items():
            for each in listed(said):
                yield Statement(self.uri(name), each, self)

    def uri(self, name: str) -> str:
        """Return the URI of a qualified name; the name itself where its prefix is unknown."""
        prefix, colon, local = name.partition(":")
        space = self.prefixes.get(prefix) if colon else self.prefixes.get("default")
        if space is None:
            return name
        uri = f"{space}{local if colon else name}"
        self._names.setdefault(uri, local if colon else name)
        return uri

    def local(self, uri: str) -> str:
        """Return what follows the prefix in the name of a URI; the text itself where it is no name here."""
        return self._names.get(uri) or uri

    def value(self, told: Any) -> Any:
        """Return a value of PROV-JSON as Python has it."""
        if not isinstance(told, dict):
            return told
        text, kind = str(told.get("$", "")), str(told.get("type", ""))
        if kind in _NAMES:
            return self.uri(text)
        kind = kind.removeprefix("xsd:")
        try:
            if kind in _WHOLE | _WHOLE_TOO:
                return int(text)
            if kind in _BROKEN:
                return float(text)
        except ValueError:
            return text
        return text in {"1", "true", "True"} if kind == "boolean" else text


def instances(content: dict[str, Any]) -> Iterator[Instance]:
    """Yield a canonical document without its bundles, and then each bundle."""
    prefixes = _PROV | content.get(PREFIXES, {})
    outer = Instance(content, prefixes)
    yield outer
    for name, inner in content.get(BUNDLES, {}).items():
        yield Instance(inner, prefixes | inner.get(PREFIXES, {}), outer.uri(name))
