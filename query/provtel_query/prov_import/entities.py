"""Entities of a document as the values that activities used and generated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from provtel_model.hashing import SHA256_PREFIX
from provtel_model.values import Reference, encode

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue

    from provtel_query.prov_import.statements import Instance, Statement

_VALUE: Final = "prov:value"
_HASH: Final = re.compile(r"(?:.*[:;/]|nih:|ni:///)?sha-?256[:;/]([0-9a-f]{64})", re.IGNORECASE)
_BARE: Final = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_OF_CONTENT: Final = frozenset({"sha256", "hash", "checksum", "reference_hash"})


class Entities:
    """The entities of a document or bundle."""

    def __init__(self, instance: Instance) -> None:
        """Read the statements of a document or bundle."""
        self._instance = instance
        self._known: dict[str, Statement] = {said.id: said for said in instance.of("entity")}
        self._general: dict[str, list[str]] = {}
        for said in instance.of("specializationOf"):
            specific, general = said.uri("prov:specificEntity"), said.uri("prov:generalEntity")
            if specific and general:
                self._general.setdefault(specific, []).append(general)

    def value(self, uri: str) -> AnyValue:
        """Return the value of an entity, or a reference to it: where it is, and its SHA-256 where that is told."""
        said = self._known.get(uri)
        values = said.values(_VALUE) if said else []
        if values:
            return encode(values[0] if len(values) == 1 else values)
        types = said.texts("prov:type") if said else []
        labels = said.texts("prov:label") if said else []
        places = [str(place) for place in said.values("prov:location")] if said else []
        reference = Reference(
            types[0] if types else "entity",
            hash=self._hash(uri, said),
            preview=labels[0] if labels else None,
            uri=places[0] if places else uri,
        )
        return reference.to_value()

    def told(self, uri: str) -> dict[str, Any]:
        """Return all that is said of an entity itself, for JSON."""
        said = self._known.get(uri)
        general = self._general.get(uri)
        result: dict[str, Any] = {"id": uri}
        result |= {key: said.values(key) for key in said.says} if said else {}
        return result | ({"specializationOf": general} if general else {})

    def _hash(self, uri: str, said: Statement | None) -> str | None:
        texts = [uri, *self._general.get(uri, ())]
        for key in said.says if said else ():
            name = key.rpartition(":")[2].lower()
            if said and name in _OF_CONTENT:
                found = [str(value) for value in said.values(key)]
                texts += [f"sha256:{text}" if name == "sha256" and _BARE.fullmatch(text) else text for text in found]
        hashes = [match[1].lower() for match in map(_HASH.fullmatch, texts) if match]
        return f"{SHA256_PREFIX}{hashes[0]}" if hashes else None
