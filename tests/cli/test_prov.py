"""`provtel prov check`: documents of any origin, and how their faults are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prov.model import ProvDocument
from provtel_query.prov_files import prov_text, read_prov

from tests.cli.conftest import fill
from tests.query.activities import quickstart

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Ask

SUFFIXES = {"json": "prov-json", "jsonld": "prov-jsonld", "provn": "prov-n", "xml": "prov-xml", "ttl": "prov-o"}
LATE_USE = """document
prefix ex <http://example.org/>
wasGeneratedBy(ex:e, ex:a, 2021-01-01T00:00:00)
used(ex:b, ex:e, 2020-01-01T00:00:00)
endDocument"""


def _document() -> ProvDocument:
    document = ProvDocument()
    document.add_namespace("ex", "http://example.org/")
    document.used("ex:a", "ex:e", identifier="ex:u")
    document.wasGeneratedBy("ex:e", "ex:b", identifier="ex:g")
    return document


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_serialisation(folder: Path, ask: Ask, suffix: str) -> None:
    """A document is read in each of the five serialisations, and one that breaks a rule fails with rule and records."""
    document, path = _document(), folder / f"document.{suffix}"
    path.write_text(prov_text(document, SUFFIXES[suffix]))

    assert ask("prov", "check", str(path)).code == 0

    document.activity("ex:e")
    path.write_text(prov_text(document, SUFFIXES[suffix]))
    answer = ask("prov", "check", str(path))

    assert answer.code == 1
    assert "violation of 55 entity-activity-disjoint: ex:e is" in answer.out
    assert "\n  activity(ex:e" in answer.out
    assert "not valid" in answer.err


def test_as_json(folder: Path, ask: Ask) -> None:
    """With --json each finding is one object, and nothing else is said; --strict lets warnings fail."""
    path = folder / "late.provn"
    path.write_text(LATE_USE)
    answer = ask("prov", "check", str(path), "--json")

    assert (answer.code, answer.err) == (0, "")
    (found,) = answer.objects
    assert (found["severity"], found["rule"], len(found["records"])) == ("warning", 37, 2)
    assert ask("prov", "check", str(path), "--strict").code == 1


def test_our_own_export(folder: Path, ask: Ask) -> None:
    """What `provtel export` writes is valid, without a warning."""
    fill(folder / ".provtel", quickstart())
    assert ask("export", "-o", "run.json").code == 0

    answer = ask("prov", "check", "run.json", "--strict")

    assert (answer.code, answer.out) == (0, "")
    assert "is valid" in answer.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", "{", "a.json is no prov-json document"),
        ("a.provn", "document\nentity(", "a.provn is no prov-n document"),
        ("a.xml", "<a/>", "a.xml is no prov-xml document"),
        ("a.ttl", "@prefix", "a.ttl is no prov-o document"),
        ("a.jsonld", "[1]", "a.jsonld is no prov-jsonld document"),
        ("a.txt", "hello", "does not say which format it has"),
    ],
)
def test_what_is_no_document(folder: Path, ask: Ask, name: str, content: str, said: str) -> None:
    """A file that is none of PROV is an error that names file and format, with exit code 1 and no traceback."""
    (folder / name).write_text(content)
    answer = ask("prov", "check", name)

    assert answer.code == 1
    assert said in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("form", ["prov-json", "prov-n", "prov-xml", "prov-o", "prov-jsonld"])
def test_each_format_of_our_export(folder: Path, ask: Ask, form: str) -> None:
    """What is exported in any of the five formats, run by run or in bundles, is valid when it is read again."""
    fill(folder / ".provtel", quickstart())
    assert ask("export", "--format", form, "-o", "run").code == 0
    assert ask("prov", "check", "run", "--format", form, "--strict").code == 0
    if form != "prov-o":  # Turtle has no bundles
        assert ask("export", "--format", form, "--bundles", "-o", "run").code == 0
        assert ask("prov", "check", "run", "--format", form).code == 0


@pytest.mark.parametrize("form", ["prov-json", "prov-n", "prov-xml", "prov-o", "prov-jsonld"])
def test_export_and_import(folder: Path, ask: Ask, form: str) -> None:
    """What is exported, imported elsewhere and exported again is the same file; twice imported, it is there once."""
    fill(folder / ".provtel", quickstart())
    assert ask("export", "--format", form, "-o", "run").code == 0
    first = ask("prov", "import", "run", "--format", form, "--store", "other", "--json")
    again = ask("prov", "import", "run", "--format", form, "--store", "other", "--json")

    assert (first.objects[0]["activities"], first.objects[0]["documents"], first.objects[0]["stored"]) == (3, 0, 3)
    assert (again.objects[0]["stored"], again.objects[0]["duplicates"]) == (0, 3)
    for place in (".provtel", "other"):
        assert ask("export", "--format", "prov-json", "--store", place, "-o", f"{place}.json").code == 0
    assert read_prov(folder / ".provtel.json") == read_prov(folder / "other.json")


def test_import_of_what_is_not_valid(folder: Path, ask: Ask) -> None:
    """It is imported and told, and refused with --strict, which leaves nothing in the store."""
    document = _document()
    document.activity("ex:e")
    (folder / "broken.json").write_text(prov_text(document, "prov-json"))

    refused = ask("prov", "import", "broken.json", "--strict", "--store", "other")
    assert refused.code == 1
    assert "nothing was stored" in refused.err
    assert not (folder / "other").exists()

    taken = ask("prov", "import", "broken.json")
    assert taken.code == 0
    assert "3 activities, 1 documents: 4 records stored" in taken.out
    assert "is not valid" in taken.err


def test_the_lineage_of_what_others_did(folder: Path, ask: Ask) -> None:
    """An imported document answers questions: what an activity used leads up to the one that generated it."""
    (folder / "other.json").write_text(prov_text(_document(), "prov-json"))
    assert ask("prov", "import", "other.json").code == 0

    answer = ask("lineage", "http://example.org/e", "--down", "--json")

    assert answer.code == 0
    assert "declared" in answer.out
