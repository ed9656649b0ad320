"""Runs as PROV documents: complete, valid, and equal when read back."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from prov.model import (
    ProvActivity,
    ProvAgent,
    ProvAlternate,
    ProvAssociation,
    ProvCommunication,
    ProvDelegation,
    ProvDerivation,
    ProvDocument,
    ProvEntity,
    ProvGeneration,
    ProvSpecialization,
    ProvStart,
    ProvUsage,
)
from provtel_model.errors import UserError
from provtel_model.record import Record
from provtel_model.values import Reference
from provtel_query.constraints import check as check_constraints
from provtel_query.flow import Flow
from provtel_query.prov_document import prov_document, write_prov_json

from tests.query.activities import FLOAT, LARGE, TRACE, activity, file, id_of, link, quickstart
from tests.query.memory import MemoryReader
from tests.query.test_flow import histories

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provtel_model.record import PlainRecord

    from tests.query.conftest import StoreOf

PROV = "http://www.w3.org/ns/prov#"


def document(records: Sequence[PlainRecord]) -> ProvDocument:
    """Return records as a document."""
    return prov_document([Record(plain) for plain in records], Flow(MemoryReader(records)))


def attributes(record: Any) -> dict[str, Any]:
    """Return a node's or relation's attributes by name; of several values the last."""
    return {str(name): value for name, value in record.attributes}


def node(found: ProvDocument, identifier: str) -> dict[str, Any]:
    """Return the attributes of the one node of an identifier."""
    (record,) = found.get_record(identifier)
    return attributes(record)


def relations(found: ProvDocument, kind: type) -> list[dict[str, Any]]:
    """Return the attributes of all relations of a kind."""
    return [attributes(record) for record in found.get_records(kind)]


def test_quickstart(store_of: StoreOf) -> None:
    """The quickstart is three activities; the second task used what the first generated."""
    found = store_of(quickstart()).prov()

    assert len(list(found.get_records(ProvActivity))) == 3
    assert len(relations(found, ProvUsage)) == len(relations(found, ProvGeneration)) == 3
    (generation,) = [edge for edge in relations(found, ProvGeneration) if edge["prov:role"] == "o1"]
    (usage,) = [edge for edge in relations(found, ProvUsage) if edge["prov:role"] == "o1"]
    assert usage["prov:entity"] == generation["prov:entity"]
    assert str(usage["prov:activity"]) == f"run:{id_of(3)}"
    assert (usage["provtel:evidence"], usage["provtel:candidates"]) == ("same_name_and_value", 1)
    assert node(found, str(usage["prov:entity"]))["prov:value"] == 4


def test_containment_is_start_and_part(store_of: StoreOf) -> None:
    """That a task ran in a workflow is that the workflow started it, and an attribute; never membership."""
    found = store_of(quickstart()).prov()

    assert {f"run:{id_of(1)}"} == {str(edge["prov:starter"]) for edge in relations(found, ProvStart)}
    assert str(node(found, f"run:{id_of(2)}")["provtel:part_of"]) == f"run:{id_of(1)}"


def test_what_a_workflow_passed_on_is_an_alternate(store_of: StoreOf) -> None:
    """What a workflow returned and a task inside it generated are two occurrences of one thing."""
    found = store_of(quickstart()).prov()

    values = [node(found, str(entity))["prov:value"] for entity in relations(found, ProvAlternate)[0].values()]
    assert values == [8, 8]


def test_occurrences_specialise_contents() -> None:
    """Two that generated the same content have an occurrence each, of one content."""
    found = document([activity(1, generated={"y": LARGE}), activity(2, generated={"y": LARGE, "z": 4})])

    edges = relations(found, ProvSpecialization)
    assert len({str(edge["prov:specificEntity"]) for edge in edges}) == 2
    (content,) = {str(edge["prov:generalEntity"]) for edge in edges}
    assert node(found, content)["provtel:hash"] == "sha256:" + content.removeprefix("content:")
    assert not any(str(edge["prov:entity"]) == content for edge in relations(found, ProvGeneration))


def test_times() -> None:
    """Times have an offset; nanoseconds, which PROV's tools cut, are kept beside them."""
    found = node(document([activity(1, at=(1.123456789, 2.5))]), f"run:{id_of(1)}")

    assert found["prov:startTime"].isoformat() == "2023-11-14T22:13:21.123456+00:00"
    assert found["provtel:started_at_unix_nano"] == 1_700_000_001_123_456_789


def test_a_failed_task_keeps_its_end_and_its_error() -> None:
    """A task that failed has its start, end, inputs and error."""
    error: dict[str, Any] = {"type": "ValueError", "message": "bad", "stacktrace": "Traceback\n…"}
    found = document([activity(1, status="error", used={"x": 1}, error=error)])

    said = node(found, f"run:{id_of(1)}")
    assert (said["provtel:status"], said["provtel:error_type"], said["provtel:error_message"]) == (
        "error",
        "ValueError",
        "bad",
    )
    assert said["prov:endTime"] is not None
    assert len(relations(found, ProvUsage)) == 1


def test_an_unfinished_task_has_no_end() -> None:
    """No end is made up for a task that has none."""
    found = document([activity(1, at=(1, None), status="lost", generated={"y": 1})])

    assert "prov:endTime" not in node(found, f"run:{id_of(1)}")
    assert "prov:time" not in relations(found, ProvGeneration)[0]


def test_the_process_is_the_agent_where_no_other_is_known() -> None:
    """Tasks of one process are associated with one software agent, under the plan of each."""
    process: dict[str, Any] = {"resource": {"process.pid": 7, "host.name": "h"}, "host": "h", "pid": 7}
    plan: dict[str, Any] = {"hash": "sha256:ab", "function": "m.f", "file": "m.py", "line": 3}
    found = document([activity(number, plan=plan, **process) for number in (1, 2)])

    (agent,) = found.get_records(ProvAgent)
    assert str(attributes(agent)["prov:type"]) == "prov:SoftwareAgent"
    assert attributes(agent)["prov:label"] == "process 7 on h"
    associations = relations(found, ProvAssociation)
    assert {str(edge["prov:agent"]) for edge in associations} == {str(agent.identifier)}
    (plan_id,) = {str(edge["prov:plan"]) for edge in associations}
    said = node(found, plan_id)
    assert str(said["prov:type"]) == "prov:Plan"
    assert (said["provtel:plan_hash"], said["provtel:plan_function"]) == ("sha256:ab", "m.f")


def test_the_process_says_which_code_it_ran() -> None:
    """The version of the code is the process's; the plan, which others share, is a function's."""
    resource = {"vcs.ref.head.revision": "ab" * 20, "vcs.ref.head.name": "main", "provtel.vcs.modified": True}
    found = document([activity(1, resource=resource)])

    (agent,) = found.get_records(ProvAgent)
    assert attributes(agent)["provtel:vcs_ref_head_revision"] == "ab" * 20
    assert attributes(agent)["provtel:vcs_ref_head_name"] == "main"
    assert attributes(agent)["provtel:provtel_vcs_modified"] is True


def test_agents_act_on_behalf_of_others() -> None:
    """An agent that is known is associated, and so is for whom it acted."""
    agent: dict[str, Any] = {"id": "a-1", "name": "planner", "type": "SoftwareAgent", "acted_on_behalf_of": "Ada"}
    found = document([activity(1, agent=agent)])

    (delegation,) = relations(found, ProvDelegation)
    assert node(found, str(delegation["prov:delegate"]))["prov:label"] == "planner"
    assert node(found, str(delegation["prov:responsible"]))["prov:label"] == "Ada"
    assert delegation["prov:delegate"] == relations(found, ProvAssociation)[0]["prov:agent"]


def test_declared_links_inform() -> None:
    """A declared use is also that one activity informed another, even one that the document lacks otherwise."""
    records = [
        activity(1, generated={"y": 1}),
        activity(2, used={"x": 1, "w": 2}, links=[link(1, "x", "y"), link(9, "w", "y")]),
    ]
    found = document(records)

    assert {f"run:{id_of(1)}", f"run:{id_of(9)}"} == {
        str(edge["prov:informant"]) for edge in relations(found, ProvCommunication)
    }
    assert len(list(found.get_records(ProvActivity))) == 3


def test_members_derive_the_value_that_has_them() -> None:
    """A list of others' results is one entity that was derived from each of them."""
    records = [
        activity(1, generated={"y": FLOAT}),
        activity(2, generated={"y": LARGE}),
        activity(3, used={"x": [FLOAT, LARGE]}),
    ]
    found = document(records)

    (usage,) = relations(found, ProvUsage)
    derivations = relations(found, ProvDerivation)
    assert {usage["prov:entity"]} == {edge["prov:generatedEntity"] for edge in derivations}
    assert {edge["prov:entity"] for edge in relations(found, ProvGeneration)} == {
        edge["prov:usedEntity"] for edge in derivations
    }


def test_values_from_other_runs_are_declared() -> None:
    """What came from beyond the document is there as an entity, without the activity that generated it."""
    records = [activity(1, generated={"y": LARGE}, workflow_id="a"), activity(2, used={"x": LARGE}, workflow_id="b")]
    found = prov_document([Record(records[1])], Flow(MemoryReader(records)))

    (usage,) = relations(found, ProvUsage)
    assert node(found, str(usage["prov:entity"]))["prov:value"] == LARGE
    assert len(list(found.get_records(ProvActivity))) == 1


def test_references_say_what_is_known() -> None:
    """A reference is an entity with a place, a size and a hash, and no value."""
    said = document([activity(1, generated={"y": file("file:///a/b.csv"), "z": Reference("array", shape=(3, 4))})])

    entities = [attributes(entity) for entity in said.get_records(ProvEntity)]
    (report,) = [entity for entity in entities if entity.get("prov:label") == "y"]
    (array,) = [entity for entity in entities if entity.get("prov:label") == "z"]
    assert str(report["prov:location"]) == "file:///a/b.csv"
    assert (report["provtel:reference_nbytes"], report["provtel:reference_hash"]) == (1000, "sha256:" + "1" * 64)
    assert json.loads(array["provtel:reference_shape"]) == [3, 4]
    assert "prov:value" not in report


def test_costs_are_attributes() -> None:
    """What a task cost is told in attributes of our own namespace."""
    found = document([activity(1, telemetry={"cpu.user": 0.5, "cpu.scope": "process"}, tags=["a", "b"])])

    said = node(found, f"run:{id_of(1)}")
    assert (said["provtel:telemetry_cpu_user"], said["provtel:telemetry_cpu_scope"]) == (0.5, "process")


AWKWARD: dict[str, object] = {
    "none": None,
    "nan": float("nan"),
    "infinity": float("inf"),
    "huge": 2**70,
    "bytes": b"\0\xff",
    "text": 'a "quoted"\nline \0',
    "tuple": (1, {2}),
    "role with: odd/characters='": 1,
    "": True,
}


@pytest.mark.parametrize(
    "records",
    [
        quickstart(),
        [activity(1, "odd: name/", used=AWKWARD, generated=AWKWARD, kind="odd kind")],
        [activity(1, used={"x": LARGE}, generated={"x": LARGE, "y": LARGE}), activity(2, used={"x": LARGE})],
    ],
    ids=["quickstart", "awkward values", "one value in several roles"],
)
def test_documents_are_valid(records: list[PlainRecord]) -> None:
    """A document keeps the rules, and is equal when read back."""
    check(document(records), records)


@given(histories())
def test_documents_of_any_history_are_valid(records: list[PlainRecord]) -> None:
    """Whatever happened, its document keeps the rules, and is equal when read back."""
    check(document(records), records)


def check(found: ProvDocument, records: list[PlainRecord]) -> None:
    """Hold a document to what PROV asks for, as far as can be told without inference."""
    text = found.serialize(format="json")
    assert text is not None
    json.loads(text, parse_constant=pytest.fail)
    assert ProvDocument.deserialize(content=text, format="json") == found
    found.unified()
    assert Counter(_roles(records, "used")) == Counter(_edges(found, ProvUsage))
    assert Counter(_roles(records, "generated")) == Counter(_edges(found, ProvGeneration))
    _check_declared(found)
    _check_order(found)


def _roles(records: list[PlainRecord], side: str) -> Iterator[tuple[str, str]]:
    for record in records:
        values: Any = record.get(side, {})
        yield from ((f"run:{TRACE}-{record['span_id']}", role) for role in values)


def _edges(found: ProvDocument, kind: type) -> Iterator[tuple[str, str]]:
    for edge in relations(found, kind):
        yield str(edge["prov:activity"]), edge.get("prov:role", "")


def _check_declared(found: ProvDocument) -> None:
    nodes = {
        kind: {record.identifier for record in found.get_records(kind)}
        for kind in (ProvActivity, ProvEntity, ProvAgent)
    }
    assert not nodes[ProvActivity] & nodes[ProvEntity]
    known = set().union(*nodes.values())
    for relation in found.get_records():
        if relation.is_relation():
            assert {value for _, value in relation.formal_attributes if hasattr(value, "namespace")} <= known
        for name, _ in relation.extra_attributes:
            assert name.namespace.prefix in {"prov", "provtel"}
            assert name.namespace.uri in {PROV, "urn:provtel:ns:"}


def _check_order(found: ProvDocument) -> None:
    """Each entity is generated once, and before each use (rules 24, 37, 39)."""
    generated = [(str(edge["prov:entity"]), edge.get("prov:time")) for edge in relations(found, ProvGeneration)]
    assert len(dict(generated)) == len(generated)
    for usage in relations(found, ProvUsage):
        made, used = dict(generated).get(str(usage["prov:entity"])), usage.get("prov:time")
        assert made is None or used is None or made <= used
    for edge in relations(found, ProvDerivation):
        assert str(edge["prov:generatedEntity"]) not in dict(generated)


def test_a_missing_package_names_the_extra(store_of: StoreOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package prov the error says how to install it."""
    monkeypatch.setitem(sys.modules, "prov.model", None)

    with pytest.raises(UserError, match=r"provtel\[prov\]"):
        store_of(quickstart()).prov()


def test_an_empty_store_has_no_document(store_of: StoreOf) -> None:
    """A store without a run has nothing to export."""
    with pytest.raises(UserError, match="has no run to export"):
        store_of([]).prov()


@given(records=histories())
def test_prov_json_that_is_written_while_it_is_made(records: list[PlainRecord]) -> None:
    """What is written piece by piece is the document that the package ``prov`` would write."""
    pieces: list[str] = []
    found = list(map(Record, records))
    parents = {record.parent_id for record in found if record.parent_id}
    reader = MemoryReader(records)
    statements = write_prov_json(pieces.append, found, lambda: Flow(reader), {record.id for record in found}, parents)
    written = ProvDocument.deserialize(content="".join(pieces), format="json")

    assert written == document(records)
    assert statements == len(list(written.get_records()))


def test_values_keep_their_types() -> None:
    """Numbers of every size, truth values, texts and what is no number are read back as they were."""
    told = {
        "small": 1,
        "long": 2**40,
        "large": 2**70,
        "float": 0.5,
        "yes": True,
        "text": 'a "quote"',
        "inf": float("inf"),
    }
    records = [activity(1, used=told, generated={"nothing": None})]
    pieces: list[str] = []
    write_prov_json(pieces.append, list(map(Record, records)), lambda: Flow(MemoryReader(records)), {id_of(1)}, ())

    assert ProvDocument.deserialize(content="".join(pieces), format="json") == document(records)


def test_bundles(store_of: StoreOf) -> None:
    """Each run of a campaign is a bundle, which is an entity that is attributed to provtel; all are valid."""
    runs: list[PlainRecord] = [
        activity(1, used={"x": LARGE}, workflow_id="one", campaign_id="c"),
        activity(2, generated={"y": LARGE}, workflow_id="two", campaign_id="c"),
        activity(3, workflow_id="three"),
    ]
    found = store_of(runs).prov(campaign="c", bundles=True)

    assert {str(bundle.identifier) for bundle in found.bundles} == {"bundle:one", "bundle:two"}
    assert {str(entity.identifier) for entity in found.get_records(ProvEntity)} == {"bundle:one", "bundle:two"}
    assert check_constraints(found).valid


def test_the_closure_of_a_datum(store_of: StoreOf) -> None:
    """What a datum came from is exported across runs, and nothing else."""
    runs = [
        activity(1, generated={"a": LARGE}, workflow_id="one"),
        activity(2, used={"b": LARGE}, generated={"c": FLOAT}, workflow_id="two"),
        activity(3, used={"d": FLOAT}, workflow_id="three"),
    ]
    store = store_of(runs)
    found = {str(each.identifier) for each in store.prov(of=FLOAT).get_records(ProvActivity)}

    assert found == {f"run:{id_of(1)}", f"run:{id_of(2)}"}
    with pytest.raises(UserError, match="choose one"):
        store.prov("one", campaign="c")
    with pytest.raises(UserError, match="no campaign"):
        store.prov(campaign="c")
