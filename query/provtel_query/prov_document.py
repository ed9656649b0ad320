"""Records as a W3C PROV document, by the package ``prov``, or as PROV-JSON that is written while it is made."""

from __future__ import annotations

import datetime as dt
import json
import math
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from json.encoder import encode_basestring
from typing import IO, TYPE_CHECKING, Any, Final

from provtel_model.errors import UserError

from provtel_query.prov_statements import NAMESPACES, Name, state

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from prov.model import ProvBundle, ProvDocument
    from provtel_model.record import Record

    from provtel_query.flow import Flow

BUNDLE: Final = "bundle"
_PRODUCER: Final = "agent:provtel"
_SMALL: Final = 2**31
_LONG: Final = 2**63
_IN_MEMORY: Final = 1 << 20


def new_document() -> ProvDocument:
    """Return an empty document with our namespaces.

    Raises:
        UserError: The package ``prov`` is not installed.
    """
    try:
        from prov.model import ProvDocument
    except ImportError:
        raise UserError("PROV documents need the package prov; run: pip install 'provtel[prov]'") from None
    document = ProvDocument()
    for prefix, uri in NAMESPACES.items():
        document.add_namespace(prefix, uri)
    return document


def prov_document(records: Sequence[Record], flow: Flow) -> ProvDocument:
    """Return records as a PROV document.

    Args:
        records: The activities.
        flow: Says where what they used came from, also beyond these records.

    Raises:
        UserError: The package ``prov`` is not installed.
    """
    document = new_document()
    _fill(document, records, flow)
    return document


def prov_bundles(runs: Iterable[Sequence[Record]], flow: Flow) -> ProvDocument:
    """Return runs as a document in which each is a bundle: an entity, attributed to provtel, whose parts it holds.

    Raises:
        UserError: The package ``prov`` is not installed.
    """
    document = new_document()
    document.add_namespace(BUNDLE, f"urn:provtel:{BUNDLE}:")
    provtel = document.agent(_PRODUCER, [("prov:type", document.valid_qualified_name("prov:SoftwareAgent"))])
    for records in runs:
        name = f"{BUNDLE}:{records[0].run}"
        described = [("prov:type", document.valid_qualified_name("prov:Bundle"))]
        title = records[0].workflow_name
        document.wasAttributedTo(document.entity(name, described + ([("prov:label", title)] if title else [])), provtel)
        _fill(document.bundle(name), records, flow)
    return document


def _fill(bundle: ProvBundle, records: Sequence[Record], flow: Flow) -> None:
    parents = {record.parent_id for record in records if record.parent_id}
    state(records, lambda: flow, {record.id for record in records}, parents, _InBundle(bundle))


class _InBundle:
    """Takes statements into a document or a bundle of the package ``prov``."""

    def __init__(self, bundle: ProvBundle) -> None:
        from prov.constants import PROV_RECORD_IDS_MAP

        self._bundle = bundle
        self._types = PROV_RECORD_IDS_MAP

    def take(
        self,
        kind: str,
        identifier: str | None,
        arguments: Sequence[tuple[str, Any]],
        attributes: Sequence[tuple[str, Any]],
    ) -> None:
        """Take a statement."""
        named = self._bundle.valid_qualified_name
        others = [(key, named(value) if isinstance(value, Name) else value) for key, value in attributes]
        formal = [(key, named(value) if isinstance(value, str) else value) for key, value in arguments]
        self._bundle.new_record(self._types[kind], identifier and named(identifier), formal, others)


def write_prov_json(
    out: Callable[[str], object],
    records: Iterable[Record],
    new_flow: Callable[[], Flow],
    known: set[str],
    parents: Container[str],
) -> int:
    """Write records as PROV-JSON, in memory that does not grow with the document; return how many statements.

    Args:
        out: Takes each piece of the text.
        records: The activities.
        new_flow: Returns what says where what they used came from; asked again and again, so that none grows.
        known: Ids of all of the records.
        parents: Ids of the records inside which others ran.
    """
    with ExitStack() as stack:
        spool = _Spool(stack)
        state(records, new_flow, known, parents, spool)
        out(f'{{"prefix": {json.dumps(NAMESPACES)}')
        for kind, file in spool.files.items():
            out(f', "{kind}": {{')
            file.seek(0)
            while text := file.read(_IN_MEMORY):
                out(text)
            out("}")
        out("}")
        return spool.statements


class _Spool:
    """Takes statements as members of PROV-JSON's objects, one file for each kind."""

    def __init__(self, stack: ExitStack) -> None:
        self.files: dict[str, IO[str]] = defaultdict(
            lambda: stack.enter_context(
                tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8")  # noqa: SIM115  # the stack closes it
            )
        )
        self.statements = 0

    def take(
        self,
        kind: str,
        identifier: str | None,
        arguments: Sequence[tuple[str, Any]],
        attributes: Sequence[tuple[str, Any]],
    ) -> None:
        """Take a statement."""
        self.statements += 1
        members = {
            key: f'"{value.isoformat() if isinstance(value, dt.datetime) else value}"' for key, value in arguments
        }
        several: dict[str, list[str]] = {}
        for key, value in attributes:
            text = _json_value(value)
            if key not in members:
                members[key] = text
            else:
                several.setdefault(key, [members[key]]).append(text)
        members |= {key: f"[{', '.join(texts)}]" for key, texts in several.items()}
        content = ", ".join([f'"{key}": {text}' for key, text in members.items()])
        comma = ", " if kind in self.files else ""
        self.files[kind].write(f'{comma}"{identifier or f"_:id{self.statements}"}": {{{content}}}')


def _json_value(value: Any) -> str:
    """Return a value as PROV-JSON types it, in JSON."""
    if isinstance(value, Name):
        return f'{{"$": "{value}", "type": "xsd:QName"}}'
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        kind = "int" if -_SMALL <= value < _SMALL else "long" if -_LONG <= value < _LONG else "integer"
        return f'{{"$": "{value}", "type": "xsd:{kind}"}}'
    text = repr(value) if math.isfinite(value) else "NaN" if math.isnan(value) else "INF" if value > 0 else "-INF"
    return f'{{"$": "{text}", "type": "xsd:double"}}'
