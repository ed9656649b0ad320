"""The rules of lineage, as a table: whose output a used value was, how that is known, of how many candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_model.record import Record
from provtel_model.values import Reference
from provtel_query.evidence import Evidence, chosen
from provtel_query.flow import Flow

from tests.query.activities import FLOAT, LARGE, activity, file, id_of, link
from tests.query.memory import MemoryReader

if TYPE_CHECKING:
    from provtel_model.record import PlainRecord

DECLARED, SAME_OBJECT, SAME_FILE, SAME_CONTENT, SAME_NAME_AND_VALUE = Evidence


class Edge(NamedTuple):
    """What a rule is expected to find."""

    source: str
    role: str
    evidence: Evidence
    candidates: int = 1
    label: str = "x"
    whole: bool = True


SMALL: list[object] = [True, False, 0, 1, "", None, 0.5, [], {}, "ok"]
CASES: list[tuple[str, list[PlainRecord], list[Edge]]] = [
    # Each kind of evidence alone; the user is always the last of the records, its role x.
    (
        "a declared source",
        [activity(1, generated={"y": 1}), activity(2, used={"x": 1}, links=[link(1, "x", "y")])],
        [Edge("t1", "y", DECLARED)],
    ),
    (
        "the same object",
        [activity(1, generated={"y": 1}), activity(2, used={"x": 1}, links=[link(1, "x", "y", "same_object")])],
        [Edge("t1", "y", SAME_OBJECT)],
    ),
    (
        "a file of the same path and content",
        [activity(1, generated={"y": file("file:///a")}), activity(2, used={"x": file("file:///a")})],
        [Edge("t1", "y", SAME_FILE)],
    ),
    (
        "a file of the same content elsewhere",
        [activity(1, generated={"y": file("file:///a")}), activity(2, used={"x": file("file:///b")})],
        [Edge("t1", "y", SAME_CONTENT)],
    ),
    (
        "a file of the same path and another content",
        [activity(1, generated={"y": file("file:///a", "1")}), activity(2, used={"x": file("file:///a", "2")})],
        [],
    ),
    (
        "a long text",
        [activity(1, generated={"y": LARGE}), activity(2, used={"x": LARGE})],
        [Edge("t1", "y", SAME_CONTENT)],
    ),
    (
        "a float of many digits",
        [activity(1, generated={"y": FLOAT}), activity(2, used={"x": FLOAT})],
        [Edge("t1", "y", SAME_CONTENT)],
    ),
    (
        "the same name and value",
        [activity(1, generated={"x": 4}), activity(2, used={"x": 4})],
        [Edge("t1", "x", SAME_NAME_AND_VALUE)],
    ),
    ("another name for a small value", [activity(1, generated={"y": 4}), activity(2, used={"x": 4})], []),
    ("the same name and another value", [activity(1, generated={"x": 4}), activity(2, used={"x": 5})], []),
    *(
        (f"{value!r} never links by content", [activity(1, generated={"y": value}), activity(2, used={"x": value})], [])
        for value in SMALL
    ),
    (
        "a fingerprint is no evidence of equality",
        [
            activity(1, generated={"y": Reference("array", hash="fp1:" + "1" * 32, nbytes=10**9)}),
            activity(2, used={"x": Reference("array", hash="fp1:" + "1" * 32, nbytes=10**9)}),
        ],
        [],
    ),
    # The strongest decides.
    (
        "declared before the same object, the file, the content and the name",
        [
            activity(1, generated={"x": file("file:///a")}),
            activity(2, generated={"x": file("file:///a")}),
            activity(3, used={"x": file("file:///a")}, links=[link(2, "x", "x", "same_object"), link(1, "x", "x")]),
        ],
        [Edge("t1", "x", DECLARED)],
    ),
    (
        "the same file before a later same content",
        [
            activity(1, generated={"y": file("file:///a")}),
            activity(2, generated={"x": file("file:///b")}),
            activity(3, used={"x": file("file:///a")}),
        ],
        [Edge("t1", "y", SAME_FILE)],
    ),
    (
        "the same content before a same name and value",
        [activity(1, generated={"x": FLOAT}), activity(2, used={"x": FLOAT})],
        [Edge("t1", "x", SAME_CONTENT)],
    ),
    (
        "a declared source that the store lacks leaves nothing to guess",
        [activity(1, generated={"x": 4}), activity(3, used={"x": 4}, links=[link(2, "x", "y")])],
        [],
    ),
    (
        "a link of another role says nothing of this one",
        [
            activity(1, generated={"x": 4}),
            activity(2, generated={"y": 4}),
            activity(3, used={"x": 4, "z": 4}, links=[link(2, "z", "y")]),
        ],
        [Edge("t1", "x", SAME_NAME_AND_VALUE)],
    ),
    (
        "a declared source may end after its user began",
        [activity(1, at=(1, 5), generated={"y": 1}), activity(2, used={"x": 1}, links=[link(1, "x", "y")])],
        [Edge("t1", "y", DECLARED)],
    ),
    # Time.
    ("generated after the use", [activity(2, generated={"x": 4}), activity(1, used={"x": 4})], []),
    (
        "generated while the user ran",
        [activity(1, at=(1, 3), generated={"x": 4}), activity(2, at=(2, 4), used={"x": 4})],
        [],
    ),
    (
        "generated at the moment of the use",
        [activity(1, at=(1, 2), generated={"x": 4}), activity(2, at=(2, 3), used={"x": 4})],
        [Edge("t1", "x", SAME_NAME_AND_VALUE)],
    ),
    (
        "of several the latest, and their number",
        [*(activity(number, generated={"x": 4}) for number in (1, 3, 2, 6)), activity(5, used={"x": 4})],
        [Edge("t3", "x", SAME_NAME_AND_VALUE, 3)],
    ),
    (
        "a generator without an end counts from its start",
        [activity(1, at=(1, None), generated={"x": 4}, status="lost"), activity(2, used={"x": 4})],
        [Edge("t1", "x", SAME_NAME_AND_VALUE)],
    ),
    ("never to itself", [activity(1, at=(1, 1), used={"x": LARGE}, generated={"x": LARGE})], []),
    (
        "a user without an end",
        [activity(1, generated={"x": 4}), activity(2, at=(2, None), used={"x": 4}, status="running")],
        [Edge("t1", "x", SAME_NAME_AND_VALUE)],
    ),
    # Runs.
    (
        "the same run first, though another was later",
        [
            activity(1, generated={"y": LARGE}, workflow_id="a"),
            activity(2, generated={"y": LARGE}, workflow_id="b"),
            activity(3, used={"x": LARGE}, workflow_id="a"),
        ],
        [Edge("t1", "y", SAME_CONTENT)],
    ),
    (
        "another run where its own has nothing",
        [
            activity(1, generated={"y": LARGE}, workflow_id="b"),
            activity(2, generated={"y": LARGE}, workflow_id="c"),
            activity(3, used={"x": LARGE}, workflow_id="a"),
        ],
        [Edge("t2", "y", SAME_CONTENT, 2)],
    ),
    (
        "a name and a value mean nothing in another run",
        [activity(1, generated={"x": 4}, workflow_id="b"), activity(2, used={"x": 4}, workflow_id="a")],
        [],
    ),
    # Members.
    (
        "members, where the whole does not link",
        [
            activity(1, generated={"y": FLOAT}),
            activity(2, generated={"y": LARGE}),
            activity(3, used={"x": [FLOAT, {"deep": LARGE}, 5]}),
        ],
        [
            Edge("t1", "y", SAME_CONTENT, label="x[0]", whole=False),
            Edge("t2", "y", SAME_CONTENT, label="x[1].deep", whole=False),
        ],
    ),
    (
        "the whole before its members",
        [
            activity(1, generated={"y": FLOAT}),
            activity(2, generated={"y": [FLOAT, 1.5, 2.5]}),
            activity(3, used={"x": [FLOAT, 1.5, 2.5]}),
        ],
        [Edge("t2", "y", SAME_CONTENT)],
    ),
    (
        "a member that links stands for what is inside it",
        [
            activity(1, generated={"y": LARGE}),
            activity(2, generated={"y": {"deep": LARGE}}),
            activity(3, used={"x": [{"deep": LARGE}]}),
        ],
        [Edge("t2", "y", SAME_CONTENT, label="x[0]", whole=False)],
    ),
    (
        "none below the second level",
        [activity(1, generated={"y": LARGE}), activity(2, used={"x": [[[LARGE]]]})],
        [],
    ),
    (
        "a member of what was generated",
        [activity(1, generated={"y": {"score": FLOAT}}), activity(2, used={"x": FLOAT})],
        [Edge("t1", "y", SAME_CONTENT, whole=False)],
    ),
    (
        "many members of one output are one edge",
        [activity(1, generated={"y": [LARGE, LARGE + "2"]}), activity(2, used={"x": {"a": LARGE, "b": LARGE + "2"}})],
        [Edge("t1", "y", SAME_CONTENT, label="x.a", whole=False)],
    ),
    (
        "small members never link by name",
        [activity(1, generated={"x": 4}), activity(2, used={"x": [4, 5]})],
        [],
    ),
    # Containers.
    (
        "the task inside, not the workflow that returned its value",
        [
            activity(1, "main", at=(1, 4), generated={"x": LARGE}, kind="workflow"),
            activity(2, generated={"y": LARGE}, parent=1),
            activity(5, used={"x": LARGE}),
        ],
        [Edge("t2", "y", SAME_CONTENT)],
    ),
    (
        "the innermost of several, through one that did not generate it",
        [
            activity(1, at=(1, 9), generated={"y": LARGE}),
            activity(2, at=(2, 8), parent=1),
            activity(3, at=(3, 7), generated={"y": LARGE}, parent=2),
            activity(10, used={"x": LARGE}),
        ],
        [Edge("t3", "y", SAME_CONTENT)],
    ),
    (
        "a container, where nothing inside it generated the value",
        [
            activity(1, at=(1, 4), generated={"x": LARGE}),
            activity(2, generated={"y": 1}, parent=1),
            activity(5, used={"x": LARGE}),
        ],
        [Edge("t1", "x", SAME_CONTENT)],
    ),
    (
        "the task inside, though it is of another run and the one around it of the user's own",
        [
            activity(1, at=(1, 4), generated={"y": LARGE}, workflow_id="a"),
            activity(2, at=(2, 4), parent=1, workflow_id="b"),
            activity(3, generated={"z": LARGE}, parent=2, workflow_id="c"),
            activity(5, used={"x": LARGE}, workflow_id="a"),
        ],
        [Edge("t3", "z", SAME_CONTENT)],
    ),
    (
        "another of the user's own run, where the latest of it only passed the value on",
        [
            activity(1, generated={"w": LARGE}, workflow_id="a"),
            activity(2, at=(2, 5), generated={"y": LARGE}, workflow_id="a"),
            activity(3, generated={"z": LARGE}, parent=2, workflow_id="b"),
            activity(6, used={"x": LARGE}, workflow_id="a"),
        ],
        [Edge("t1", "w", SAME_CONTENT)],
    ),
    (
        "never to an open activity around it",
        [activity(1, at=(1, None), generated={"x": 4}, status="running"), activity(2, used={"x": 4}, parent=1)],
        [],
    ),
    (
        "a parent that ended before",
        [activity(1, generated={"x": 4}), activity(2, used={"x": 4}, parent=1)],
        [Edge("t1", "x", SAME_NAME_AND_VALUE)],
    ),
]


@pytest.mark.parametrize(("records", "edges"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_rules(records: list[PlainRecord], edges: list[Edge]) -> None:
    """Each rule links a use to what it says, and to nothing else."""
    found = Flow(MemoryReader(records)).origins(Record(records[-1]), "x")

    assert edges == [
        Edge(origin.record.name, origin.role, origin.evidence, origin.candidates, origin.label, origin.whole)
        for origin in found
    ]


@pytest.mark.parametrize("records", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_downstream_is_upstream_read_backwards(records: list[PlainRecord]) -> None:
    """Every edge that the rules find from its use is found from its generation too, and no other."""
    assert _edges_upstream(records) == _edges_downstream(records)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, DECLARED),
        ("declared", DECLARED),
        ("same_name_and_value", DECLARED),
        (["same_name_and_value"], SAME_NAME_AND_VALUE),
        (["same_content", "same_name_and_value"], SAME_CONTENT),
    ],
)
def test_evidence_can_be_chosen(wanted: str | list[str] | None, found: Evidence) -> None:
    """One kind stands for itself and all stronger ones, several for just those; the strongest of them decides."""
    user = activity(2, used={"x": FLOAT}, links=[link(1, "x", "x")])

    flow = Flow(MemoryReader([activity(1, generated={"x": FLOAT}), user]), chosen(wanted))

    assert [found] == [origin.evidence for origin in flow.origins(Record(user), "x")]


def test_lookups_are_made_once() -> None:
    """A value that a thousand activities use is looked up once."""
    users = [activity(number, used={"x": LARGE}) for number in range(2, 1002)]
    reader = MemoryReader([activity(1, generated={"x": LARGE})])
    flow = Flow(reader)

    assert all(flow.origins(Record(user), "x")[0].role == "x" for user in users)
    assert len(reader.lookups) == 1


values = st.sampled_from([1, True, FLOAT, LARGE, [FLOAT, LARGE], {"a": LARGE}, file("file:///a"), file("file:///b")])
roles = st.sampled_from(["x", "y"])
data = st.dictionaries(roles, values, max_size=2)


@st.composite
def histories(draw: st.DrawFn) -> list[PlainRecord]:
    """Return activities that overlap, nest, repeat values and lie in two runs."""
    records = []
    for number in range(1, draw(st.integers(2, 8))):
        start = draw(st.integers(0, 20))
        record = activity(
            number,
            at=(start, draw(st.none() | st.integers(start, 25))),
            used=draw(data),
            generated=draw(data),
            workflow_id=draw(st.sampled_from(["a", "b"])),
        )
        if draw(st.booleans()):
            record["parent_id"] = id_of(draw(st.integers(1, 8)))
        if draw(st.booleans()):
            record["links"] = [link(draw(st.integers(1, 8)), draw(roles), draw(roles))]
        records.append(record)
    return records


@given(histories())
def test_downstream_is_upstream_read_backwards_in_any_history(records: list[PlainRecord]) -> None:
    """Whatever happened, both directions know the same edges."""
    assert _edges_upstream(records) == _edges_downstream(records)


@given(histories())
def test_no_edge_goes_back_in_time(records: list[PlainRecord]) -> None:
    """Whatever happened, what is inferred was there before its use and in another activity."""
    flow = Flow(MemoryReader(records))
    for plain in records:
        for role in plain.get("used", {}):
            for origin in flow.origins(Record(plain), role):
                if origin.evidence is not DECLARED:
                    source = origin.record.plain
                    assert source.get("ended_at", source["started_at"]) <= plain["started_at"]
                    assert source["span_id"] != plain["span_id"]


def _edges_upstream(records: list[PlainRecord]) -> set[tuple[str, ...]]:
    flow = Flow(MemoryReader(records))
    users = [Record(plain) for plain in records]
    return {
        (origin.record.id, origin.role, user.id, role, origin.evidence)
        for user in users
        for role in user.plain.get("used", {})
        for origin in flow.origins(user, role)
    }


def _edges_downstream(records: list[PlainRecord]) -> set[tuple[str, ...]]:
    flow = Flow(MemoryReader(records))
    generators = [Record(plain) for plain in records]
    return {
        (generator.id, role, use.record.id, use.role, use.origin.evidence)
        for generator in generators
        for role in {"x", "y"} | set(generator.plain.get("generated", {}))
        for use in flow.uses(generator, role)
    }
