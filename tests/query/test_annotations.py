"""What is said afterwards: of whom and what it is, who said it, and that it changes no lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prov.model import ProvDocument
from provtel_model.errors import UserError
from provtel_query.constraints import check

from tests.query.activities import LARGE, activity, file, id_of, quickstart
from tests.query.stores import held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_query import Store

    from tests.exporters.backends import Backend

OTHER = "bb" * 16


@pytest.fixture
def store(backend: Backend) -> Iterator[Store]:
    """Return a store with the quickstart, and two runs that used one file and one text."""
    data = file("file:///data/anatomy1.img")
    records = [
        *quickstart(),
        activity(21, "align", used={"image": data}, generated={"text": LARGE}, workflow_id="one"),
        activity(22, "align", used={"image": data, "text": LARGE}, trace_id=OTHER, workflow_id="two"),
    ]
    with held(backend, records) as store:
        yield store


def test_of_an_activity(store: Store) -> None:
    """What is said of an activity is found by it, with who said it and when, and belongs to its run."""
    kept = store.annotate(id_of(2), {"reviewed": True, "grade": 2}, by="me")
    (found,) = store.annotations(id_of(2))

    assert found == kept
    assert (found.said, found.by, found.of, found.role, found.value) == (
        {"reviewed": True, "grade": 2},
        "me",
        id_of(2),
        None,
        None,
    )
    assert found.record.run == id_of(1)
    assert store.annotations(id_of(3)) == []


def test_of_data_wherever_they_are(store: Store) -> None:
    """What is said of a file or a large value is found from every run that has the same content."""
    store.annotate("file:///data/anatomy1.img", {"center": "UChicago"})
    store.annotate(LARGE, {"language": "en"})

    for record in store.records({"name": "align"}):
        (found,) = store.annotations(record.used["image"])
        assert found.said == {"center": "UChicago"}
    (found,) = store.annotations(LARGE)
    assert (found.value, found.of, found.role) == (LARGE, id_of(21), "text")


def test_of_a_small_result(store: Store) -> None:
    """What is said of a value that says little by itself is of that result alone."""
    store.annotate("o2=8", {"good": True})

    assert [found.of for found in store.annotations("o2=8")] == [id_of(3)]
    assert store.annotations("o1=4") == []
    assert store.annotations(id_of(3)) == []


def test_questions(store: Store) -> None:
    """Annotations are found by what they say, with every operator."""
    for number, modality in ((2, "speech"), (3, "visual")):
        store.annotate(id_of(number), {"modality": modality, "number": number})

    assert [found.of for found in store.annotated({"modality": "visual"})] == [id_of(3)]
    assert len(store.annotated({"$or": [{"modality": {"$in": ["speech"]}}, {"number": {"$gte": 3}}]})) == 2
    assert len(store.annotated()) == 2


def test_lineage_stays_the_same(store: Store) -> None:
    """No annotation is a step of a lineage, a task of a run, or a difference between runs."""
    before = (store.lineage(LARGE, "downstream"), store.tasks(), store.count({"kind": "task"}))
    store.annotate(LARGE, {"copy": LARGE})
    store.annotate(id_of(2), {"o1": 4})

    assert (store.lineage(LARGE, "downstream"), store.tasks(), store.count({"kind": "task"})) == before
    assert store.diff(id_of(1), id_of(1)).same


def test_as_prov(store: Store) -> None:
    """An annotation of a run's activity is exported with the run, and the document is valid."""
    store.annotate(id_of(2), {"reviewed": True}, by="me")
    document = store.prov(id_of(1))

    assert check(document).valid
    assert "annotates" in document.get_provn()
    assert "provtel:Annotation" in document.get_provn()


def test_as_prov_of_data(store: Store) -> None:
    """What is said of data is exported with each run and each closure that has them, streamed or not, and no other."""
    kept = store.annotate("file:///data/anatomy1.img", {"center": "UChicago"}, by="me")
    told = f"run:{kept.record.id}"
    selections: list[tuple[dict[str, Any], bool]] = [
        ({"run": "one"}, True),
        ({"run": "two"}, True),
        ({"run": id_of(1)}, False),
        ({"of": LARGE}, True),
        ({"run": "two", "bundles": True}, True),
    ]
    for selection, is_there in selections:
        document = store.prov(**selection)
        assert check(document).valid
        assert (told in document.get_provn()) is is_there
        if "bundles" not in selection:
            pieces: list[str] = []
            store.write_prov_json(pieces.append, **selection)
            assert ProvDocument.deserialize(content="".join(pieces), format="json") == document


def test_what_cannot_be_said(store: Store) -> None:
    """Nothing said, and something said of nothing, are refused, and nothing is kept."""
    with pytest.raises(UserError, match="says nothing"):
        store.annotate(id_of(2), {})
    with pytest.raises(UserError, match="nothing is known"):
        store.annotate("nothing of this", {"a": 1})
    assert store.annotated() == []
