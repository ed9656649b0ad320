"""PROV documents to and from text: which serialisation it is, and what is wrong with one that is none."""

from __future__ import annotations

import json
import textwrap
import warnings
from typing import TYPE_CHECKING, Final

from provtel_model.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from prov.model import ProvDocument

FORMATS: Final = {
    "prov-json": ("json", ""),
    "prov-jsonld": ("jsonld", ""),
    "prov-n": ("provn", ""),
    "prov-xml": ("xml", ""),
    "prov-o": ("rdf", "turtle"),
}
"""The serialisations by the names that `provtel` has for them: the format and the dialect of the package ``prov``."""
_SUFFIXES: Final = {
    ".json": "prov-json",
    ".jsonld": "prov-jsonld",
    ".provn": "prov-n",
    ".provx": "prov-xml",
    ".xml": "prov-xml",
    ".ttl": "prov-o",
}
_NAMESPACE: Final = "http://www.w3.org/ns/prov#"
_EXPANDED: Final = ("rdf", {"rdf_format": "json-ld"})
"""How JSON-LD is read that is the graph of PROV-O in a list, as tools of RDF write it, and no PROV-JSONLD."""
_MOST_BYTES: Final = 1 << 30
_MOST_SAID: Final = 300


def read_prov(path: Path, form: str | None = None) -> ProvDocument:
    """Return the document that a file holds.

    Args:
        path: The file.
        form: A key of `FORMATS`; by default what the name and the content of the file say.

    Raises:
        UserError: The file cannot be read, or is no document of that format; or a package is not installed.
    """
    try:
        from prov.model import ProvDocument
    except ImportError:
        raise UserError("PROV documents need the package prov; run: pip install 'provtel[prov]'") from None
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path} has more than {_MOST_BYTES} bytes, which is more than can be read at once")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8: {error.reason} at byte {error.start}") from None
    chosen = form or _form_of(path, text)
    if chosen == "prov-xml" and _NAMESPACE not in text:
        raise UserError(f"{path} is no prov-xml document: nothing in it is of the namespace {_NAMESPACE}")
    kind, options = _EXPANDED if chosen == "prov-jsonld" and _is_expanded(text) else _dialect(chosen)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of attributes that PROV does not know, and of rdflib's own past
            return ProvDocument.deserialize(content=text, format=kind, **options)
    except Exception as error:  # the parsers of five formats share no class
        raise UserError(f"{path} is no {chosen} document: {_first_line(error)}") from error


def prov_text(document: ProvDocument, form: str) -> str:
    """Return a document in a format, a key of `FORMATS`.

    Raises:
        UserError: The format cannot say it, as XML cannot say control characters.
    """
    kind, options = _dialect(form)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of rdflib's own past
            return document.serialize(format=kind, **options) or ""
    except ValueError as error:
        raise UserError(f"{form} cannot say what is in this document: {_first_line(error)}; choose another") from error


def _dialect(form: str) -> tuple[str, dict[str, str]]:
    kind, dialect = FORMATS[form]
    return kind, {"rdf_format": dialect} if dialect else {}


def _form_of(path: Path, text: str) -> str:
    known = _SUFFIXES.get(path.suffix.lower(), "")
    if not known:
        start = text.lstrip()[:1]
        known = {"{": "prov-json", "<": "prov-xml"}.get(start, "prov-n" if "endDocument" in text else "")
    if not known:
        raise UserError(f"{path} does not say which format it has; name it by --format {'|'.join(FORMATS)}")
    return "prov-jsonld" if known == "prov-json" and _is_linked(text) else known


def _is_linked(text: str) -> bool:
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and "@context" in content


def _is_expanded(text: str) -> bool:
    return text.lstrip().startswith("[") and _NAMESPACE in text


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return textwrap.shorten(lines[0], _MOST_SAID, placeholder=" …") if lines else type(error).__name__
