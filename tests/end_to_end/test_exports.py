"""Every export of the demo's workflow, of the quickstart and of the First Provenance Challenge is valid to others."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from prov.model import ProvDocument
from provtel_query import connect
from provtel_query.constraints import check
from provtel_query.prov_files import FORMATS, prov_text, read_prov

from tests.end_to_end.processes import Place
from tests.house.project import ROOT
from tests.query.openlineage_schema import validator
from tests.services.rocrate.validator import PROVENANCE, issues

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provtel_query import Store

    from tests.services.found import Found

PROGRAMS = {
    "quickstart": ["quickstart.py"],
    "demo": ["digits_sweep.py", "--output", ".", "--trials", "4"],
    "challenge": ["provenance_challenge.py"],
}
RUNS = {"quickstart": 1, "demo": 1, "challenge": 3}
SCHEMAS = files("prov.tests") / "schemas"


@pytest.fixture(scope="module", params=PROGRAMS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Return the store of a program that ran."""
    place = Place(tmp_path_factory.mktemp(request.param))
    program, *arguments = PROGRAMS[request.param]
    place.run(ROOT / "examples" / program, *arguments)
    with connect(place.store) as opened:
        assert len(opened.workflows()) == RUNS[request.param]
        yield opened


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """Return what holds a serialisation to its schema, where there is one in JSON."""
    return {
        form: jsonschema.Draft7Validator(json.loads((SCHEMAS / f"{form}.schema.json").read_text()))
        for form in ("prov-json", "prov-jsonld")
    }


def test_prov(store: Store, schemas: dict[str, Any], tmp_path: Path) -> None:
    """Each run keeps every constraint, and its five serialisations are the same document, two by their schemas too."""
    for run in store.workflows():
        document = store.prov(run.id)

        verdict = check(document)
        assert (verdict.violations, verdict.warnings) == ([], [])
        for form in FORMATS:
            text = prov_text(document, form)
            (tmp_path / form).write_text(text)
            assert read_prov(tmp_path / form, form) == document, form
            if form in schemas:
                schemas[form].validate(json.loads(text))


def test_prov_json_that_is_streamed(store: Store, schemas: dict[str, Any]) -> None:
    """What is written as PROV-JSON while it is made is by its schema, and the same document."""
    for run in store.workflows():
        pieces: list[str] = []
        store.write_prov_json(pieces.append, run.id)
        text = "".join(pieces)

        schemas["prov-json"].validate(json.loads(text))
        assert ProvDocument.deserialize(content=text, format="json") == store.prov(run.id)


def test_openlineage(store: Store, reference_data: Path) -> None:
    """Each event of each run is by the schema of OpenLineage and of its facets."""
    schema = validator(reference_data)
    for run in store.workflows():
        events = store.openlineage(run.id)

        assert {"START", "COMPLETE"} <= {event["eventType"] for event in events}
        for event in events:
            schema.validate(json.loads(json.dumps(event)))


@pytest.mark.parametrize(
    "store",
    ["demo", *(pytest.param(name, marks=pytest.mark.long) for name in ("quickstart", "challenge"))],
    indirect=True,
)
def test_crates(store: Store, roc_validator: Found, reference_data: Path, tmp_path: Path) -> None:
    """Each run is a crate, with the files that were there, that keeps to all profiles of runs."""
    crates = [tmp_path / f"crate-{number}" for number in range(len(store.workflows()))]
    for run, folder in zip(store.workflows(), crates, strict=True):
        assert not store.crate(folder, run.id, copy=True).changed

    found = issues(roc_validator, PROVENANCE, reference_data / "rocrate", *crates)
    assert found == [[] for _ in crates]
