"""PROV-JSON, read without the code that wrote it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NamedTuple


class Relation(NamedTuple):
    """That an activity used or generated a datum.

    Attributes:
        activity: Id of the record.
        role: The role that the datum had.
        datum: The datum as canonical JSON.
    """

    activity: str
    role: str
    datum: str


class ProvFile:
    """A PROV-JSON document.

    Args:
        document: What the file holds.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        """Keep the document."""
        self._document = document

    def activities(self) -> set[str]:
        """Return the ids of the records that are activities."""
        return {_local(name) for name in self._document["activity"]}

    def relations(self, kind: str) -> Counter[Relation]:
        """Return the relations of a kind, ``used`` or ``wasGeneratedBy``."""
        return Counter(
            Relation(
                _local(relation["prov:activity"]),
                _plain(relation["prov:role"]),
                self._datum(self._document["entity"][relation["prov:entity"]]),
            )
            for relation in self._document[kind].values()
        )

    def _datum(self, entity: dict[str, Any]) -> str:
        known = {name.removeprefix("provtel:reference_"): _plain(value) for name, value in entity.items()}
        if "prov:location" in known:
            known["uri"] = known.pop("prov:location")
        if "prov:value" in known:
            return _canonical(known["prov:value"])
        return _canonical({name: value for name, value in known.items() if ":" not in name} or None)


def relations_of(records: list[dict[str, Any]], which: str) -> Counter[Relation]:
    """Return the relations that records, as the command line prints them, must have: of what they used or generated."""
    return Counter(
        Relation(record["id"], role, _canonical(value)) for record in records for role, value in record[which].items()
    )


def _local(name: str) -> str:
    return name.partition(":")[2]


def _plain(value: Any) -> Any:
    """Return the Python value of a literal."""
    if not isinstance(value, dict):
        return value
    read = {"xsd:int": int, "xsd:long": int, "xsd:integer": int, "xsd:double": float}.get(value.get("type", ""), str)
    return value["$"] == "true" if value.get("type") == "xsd:boolean" else read(value["$"])


def _canonical(value: Any) -> str:
    """Return one text for one value, be a container in it told as itself or as a text of JSON."""
    if isinstance(value, dict):
        value = {key: _unwrapped(item) for key, item in value.items()}
    return json.dumps(_unwrapped(value), sort_keys=True)


def _unwrapped(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        return json.loads(value)
    return value
