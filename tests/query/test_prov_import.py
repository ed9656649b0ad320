"""PROV documents of any origin as records: our own as they were, others' with their lineage, none silently cut."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from prov.model import ProvDocument
from provtel_model.errors import UserError
from provtel_model.otlp import decode, encode
from provtel_model.record import Record
from provtel_query.flow import Flow
from provtel_query.prov_document import prov_bundles, prov_document
from provtel_query.prov_files import FORMATS, prov_text, read_prov
from provtel_query.prov_import import DOCUMENT, read_records

from tests.query.activities import EPOCH, SECOND, activity, id_of, quickstart
from tests.query.memory import MemoryReader
from tests.query.test_flow import histories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_model.record import PlainRecord

    from tests.query.conftest import StoreOf

CORPUS: Final = files("prov.tests")
SUFFIXES: Final = frozenset({".json", ".jsonld", ".provn", ".trig", ".ttl", ".xml"})
EXAMPLE: Final = """document
prefix ex <http://example.org/>
activity(ex:make, 2020-01-01T00:00:00, 2020-01-01T00:00:02, [prov:label="make it"])
entity(ex:made, [prov:value="7" %% xsd:int])
entity(ex:file, [prov:location="file:///a", ex:sha256="{hash}"])
entity(ex:copy)
agent(ex:ada, [prov:type='prov:Person', prov:label="Ada"])
wasGeneratedBy(ex:made, ex:make, -, [prov:role="out"])
wasGeneratedBy(ex:file, ex:make, -)
wasDerivedFrom(ex:copy, ex:file)
used(ex:read, ex:copy, 2020-01-01T00:00:05)
used(ex:read, ex:made, -, [prov:role="number"])
wasAssociatedWith(ex:read, ex:ada, ex:recipe)
actedOnBehalfOf(ex:ada, ex:team)
wasInformedBy(ex:rest, ex:read)
wasAttributedTo(ex:made, ex:ada)
endDocument"""


def _export(records: Sequence[PlainRecord]) -> ProvDocument:
    return prov_document([Record(plain) for plain in records], Flow(MemoryReader(records)))


def _by_name(records: Sequence[PlainRecord]) -> dict[str, PlainRecord]:
    return {plain["name"]: plain for plain in records}


def _read(text: str, folder: Path, suffix: str = "provn") -> list[PlainRecord]:
    path = folder / f"document.{suffix}"
    path.write_text(text)
    return read_records(read_prov(path))


def _example(folder: Path) -> list[PlainRecord]:
    return _read(EXAMPLE.format(hash="ab" * 32), folder)


@settings(max_examples=40)
@given(records=histories())
def test_our_own_come_back(records: list[PlainRecord]) -> None:
    """What we export comes back as the records that it was, and is exported as an equal document."""
    document = _export(records)
    back = read_records(document)

    assert {Record(plain) for plain in back} == {Record(plain) for plain in records}
    assert _export(back) == document


@pytest.mark.parametrize("form", FORMATS)
def test_our_own_come_back_from_each_serialisation(tmp_path: Path, form: str) -> None:
    """They come back from the text of all five serialisations."""
    awkward: dict[str, object] = {"text": "a \"b\" \\ 'c'\n\ttab \\n é </x>", "large": 2**60, "half": 0.5, "none": None}
    records = [
        *quickstart(),
        activity(4, at=(4, None), status="running", last_seen_at=EPOCH + 5 * SECOND, used=awkward, parent=1),
    ]
    path = tmp_path / "document"
    path.write_text(prov_text(_export(records), form))
    back = read_records(read_prov(path, form))

    assert {Record(plain) for plain in back} == {Record(plain) for plain in records}


def test_our_own_come_back_from_bundles() -> None:
    """Runs that are bundles of one document come back, each as it was."""
    records = [activity(1, workflow_id="a"), activity(2, workflow_id="b")]
    bundles = prov_bundles([[Record(plain)] for plain in records], Flow(MemoryReader(records)))

    assert read_records(bundles) == records


def test_an_activity_that_carries_another_record_is_refused() -> None:
    """A document of ours whose record was changed, or put at another activity, is no document of ours."""
    content = json.loads(prov_text(_export([activity(1), activity(2)]), "prov-json"))
    first, second = (content["activity"][f"run:{id_of(number)}"] for number in (1, 2))
    first["provtel:record_traces"] = second["provtel:record_traces"]
    with pytest.raises(UserError, match="carries the record of another"):
        read_records(ProvDocument.deserialize(content=json.dumps(content), format="json"))

    first["provtel:record_traces"] = "{"
    with pytest.raises(UserError, match="carries no record"):
        read_records(ProvDocument.deserialize(content=json.dumps(content), format="json"))


def test_activities_of_others(tmp_path: Path) -> None:
    """Each activity is a record: times in UTC, data by role or name, a hash only where it is SHA-256, who and how."""
    found = _by_name(_example(tmp_path))
    make, read, rest = found["make it"], found["read"], found["rest"]

    assert (make["status"], make["ended_at"] - make["started_at"]) == ("finished", 2_000_000_000)
    assert make["started_at"] == 1_577_836_800_000_000_000
    assert make["generated"]["out"] == 7
    assert Record(make).generated["file"].uri == "file:///a"
    assert Record(make).generated["file"].hash == f"sha256:{'ab' * 32}"
    assert read["agent"] == {
        "id": "http://example.org/ada",
        "name": "Ada",
        "type": "person",
        "acted_on_behalf_of": "http://example.org/team",
    }
    assert read["plan"] == {"function": "recipe"}
    assert (read["status"], read["started_at"]) == ("lost", read["last_seen_at"])
    assert Record(rest).attributes["prov.document.start_assumed"] is True
    assert [one.id for one in Record(rest).links] == [Record(read).id]


def test_use_leads_to_generation(tmp_path: Path) -> None:
    """A use leads to the activity that generated the entity, or what it was derived from, as declared."""
    records = _example(tmp_path)
    flow, read = Flow(MemoryReader(records)), Record(_by_name(records)["read"])

    found = {role: [(o.record.name, o.role, o.evidence) for o in flow.origins(read, role)] for role in read.used}
    assert found == {"number": [("make it", "out", "declared")], "copy": [("make it", "file", "declared")]}


def test_nothing_is_lost(tmp_path: Path) -> None:
    """The document is kept whole, in one record to which all others point."""
    records = _example(tmp_path)
    kept = ProvDocument.deserialize(content=Record(records[0]).attributes["prov.document"], format="json")

    assert kept.unified() == read_prov(tmp_path / "document.provn").unified()
    assert {Record(plain).attributes["prov.document.id"] for plain in records[1:]} == {Record(records[0]).id}


def test_bundles_are_apart(tmp_path: Path) -> None:
    """An activity that two bundles describe is two records, each of which says its bundle."""
    text = "document\nprefix ex <http://example.org/>\n"
    text += "".join(f"bundle ex:{name}\nactivity(ex:a)\nendBundle\n" for name in "bc")
    _, *records = _read(f"{text}endDocument", tmp_path)

    assert {Record(each).attributes["prov.document.bundle"] for each in records} == {
        "http://example.org/b",
        "http://example.org/c",
    }
    assert len({Record(each).id for each in records}) == 2


def test_activities_that_start_each_other(tmp_path: Path) -> None:
    """Activities that started each other in a circle are records, of which none is inside itself."""
    text = "document\nprefix ex <http://example.org/>\nwasStartedBy(ex:a, -, ex:b, -)\nwasStartedBy(ex:b, -, ex:a, -)\n"
    _, *records = _read(f"{text}endDocument", tmp_path)

    assert len([plain for plain in records if "parent_id" in plain]) == 1


def test_a_document_without_activities(tmp_path: Path) -> None:
    """It is kept as one record; one that says nothing at all is refused."""
    (kept,) = _read("document\nprefix ex <http://example.org/>\nentity(ex:e)\nendDocument", tmp_path)

    assert kept["kind"] == DOCUMENT
    with pytest.raises(UserError, match="says nothing"):
        _read("document\nendDocument", tmp_path)


def test_the_corpora_of_prov() -> None:
    """Every document that ships with the package prov is records that OTLP can carry, or is refused with a reason."""
    imported, reasons = 0, []
    with as_file(CORPUS) as folder:
        for path in sorted(each for each in folder.rglob("*") if each.suffix in SUFFIXES):
            try:
                records = read_records(read_prov(path))
            except UserError as error:
                reasons.append(str(error))
                continue
            carried = [plain for batch in encode(records) for plain in decode(batch)]
            assert {Record(plain) for plain in carried} == {Record(plain) for plain in records}, path
            imported += 1
    assert imported > 1400
    assert len(reasons) < 120
    assert all(10 < len(reason) < 1000 for reason in reasons)


@pytest.fixture
def cwl_run(reference_data: Path) -> Path:
    """Return the folder of a run of cwltool, in five serialisations."""
    return reference_data / "cwlprov" / "revsort-run-1"


def test_a_run_of_cwltool(cwl_run: Path, store_of: StoreOf) -> None:
    """JSON, PROV-N and XML give the same records, and the output of the run leads up to its input."""
    json_, provn, xml = (
        read_records(read_prov(cwl_run / f"primary.cwlprov.{suffix}")) for suffix in ("json", "provn", "xml")
    )
    assert json_ == provn == xml

    found = store_of(json_).lineage("urn:uuid:071d1b5c-1b2b-4995-a6e0-80821af85abd", "upstream")
    assert {record.name.rpartition("/")[2] for record in found.activities.values()} == {"rev", "sorted"}


@pytest.mark.parametrize("suffix", ["ttl", "jsonld"])
def test_the_graph_of_a_run_of_cwltool(cwl_run: Path, suffix: str) -> None:
    """Turtle and JSON-LD, which have no qualified names, give the same activities, times, agents and flow of data."""
    told = _outline(read_records(read_prov(cwl_run / f"primary.cwlprov.{suffix}")))

    assert told == _outline(read_records(read_prov(cwl_run / "primary.cwlprov.json")))


def _outline(records: Sequence[PlainRecord]) -> dict[str, Any]:
    """Return what a record says without the names of roles."""
    return {
        plain["name"]: (
            plain["span_id"],
            plain["kind"],
            [plain.get(key) for key in ("status", "started_at", "ended_at")],
            len(plain.get("used", {})),
            len(plain.get("generated", {})),
            [one["span_id"] for one in plain.get("links", ())],
        )
        for plain in records[1:]
    }


def test_our_export_of_others_comes_back(tmp_path: Path) -> None:
    """What was imported from others is exported by us, and comes back, as an equal document."""
    document = _export(_example(tmp_path))

    assert _export(read_records(document)) == document
