"""A document as PROV-JSON that is the same text in whatever order and serialisation it came."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from provtel_query.prov_files import prov_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prov.model import ProvDocument

PREFIXES: Final = "prefix"
BUNDLES: Final = "bundle"
_WITHOUT_ARGUMENTS: Final = frozenset({"entity", "agent"})
_DEFAULT: Final = "default"
_UNNAMED: Final = "_:"


def canonical(document: ProvDocument) -> dict[str, Any]:
    """Return a document as PROV-JSON whose members, and the values in each, are in order.

    Prefixes that no name has are left out. What is said of one entity or agent in several places is said in one. A
    relation without a name is named by what it says, so that two that say the same are one.
    """
    content = _instance(json.loads(prov_text(document, "prov-json")))
    found = {_DEFAULT, *_prefixes_in(content)}
    for each in (content, *content.get(BUNDLES, {}).values()):
        kept = {prefix: uri for prefix, uri in each.get(PREFIXES, {}).items() if prefix in found}
        if kept:
            each[PREFIXES] = kept
        else:
            each.pop(PREFIXES, None)
    return content


def text_of(content: Mapping[str, Any]) -> str:
    """Return content as JSON, the same for the same content."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def listed(value: Any) -> list[Any]:
    """Return one or several, which PROV-JSON writes differently, as a list."""
    return value if isinstance(value, list) else [value]


def _prefixes_in(content: Any) -> Iterator[str]:
    """Yield what stands before a colon in any name or text."""
    if isinstance(content, str):
        yield content.partition(":")[0]
    elif isinstance(content, list):
        for each in content:
            yield from _prefixes_in(each)
    elif isinstance(content, dict):
        for name, each in content.items():
            yield name.partition(":")[0]
            if name != PREFIXES:
                yield from _prefixes_in(each)


def _instance(content: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for kind in sorted(content):
        if kind == PREFIXES:
            result[kind] = content[kind]
        elif kind == BUNDLES:
            result[kind] = {name: _instance(content[kind][name]) for name in sorted(content[kind])}
        else:
            result[kind] = _members(kind, content[kind])
    return result


def _members(kind: str, members: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {}
    for name, said in members.items():
        for each in listed(said):
            statement = {key: _in_order(listed(value)) for key, value in each.items()}
            found.setdefault(_name(name, statement), []).append(statement)
    if kind in _WITHOUT_ARGUMENTS:
        return {name: _joined(found[name]) for name in sorted(found)}
    return {name: _in_order(found[name]) for name in sorted(found)}


def _name(name: str, statement: Mapping[str, Any]) -> str:
    if not name.startswith(_UNNAMED):
        return name
    return f"{_UNNAMED}id{hashlib.sha256(text_of(statement).encode()).hexdigest()[:16]}"


def _joined(statements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    values: dict[str, list[Any]] = {}
    for statement in statements:
        for key, value in statement.items():
            values.setdefault(key, []).extend(listed(value))
    return {key: _in_order(values[key]) for key in sorted(values)}


def _in_order(values: Iterable[Any]) -> Any:
    """Return different values in order; one alone stands by itself."""
    known = {json.dumps(value, sort_keys=True): value for value in values}
    ordered = [known[key] for key in sorted(known)]
    return ordered[0] if len(ordered) == 1 else ordered
