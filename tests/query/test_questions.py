"""Questions over many records, each over a small history whose answer is written out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from provtel_model import attributes as names_of
from provtel_model.components import DrainReport
from provtel_model.errors import FilterError, UserError
from provtel_query import Store
from provtel_query.questions import (
    agent_trace,
    crossings,
    descended_from,
    failures,
    hot_spots,
    imbalance,
    model_usage,
    ranking,
    recomputed,
    responsible,
    runs_before,
    runs_with_package,
    schedule,
    unfinished,
    unstable,
)

from tests.query.activities import EPOCH, FLOAT, LARGE, SECOND, activity, file, id_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provtel_model.record import PlainRecord, Record

    from tests.exporters.backends import Backend
    from tests.query.conftest import StoreOf

HASH = names_of.PROVTEL_PYTHON_ENVIRONMENT_HASH
LIST = names_of.PROVTEL_PYTHON_DISTRIBUTIONS
PLAN: dict[str, Any] = {"hash": "sha256:" + "a" * 64, "function": "fit"}
RUN: dict[str, Any] = {"workflow_id": "run", "workflow_name": "run"}


def names(records: Iterable[Record]) -> list[str]:
    """Return names in order."""
    return [record.name for record in records]


def test_outputs_that_something_upstream_made(store_of: StoreOf) -> None:
    """An average is found where an alignment far upstream had the parameter, and not where it had another."""

    def chain(first: int, model: int) -> list[PlainRecord]:
        aligned, sliced = f"{LARGE} aligned {first}", f"{LARGE} sliced {first}"
        return [
            activity(first, "align", used={"model": model}, generated={"image": aligned}),
            activity(first + 1, "slice", used={"image": aligned}, generated={"slice": sliced}),
            activity(first + 2, f"average {model}", used={"slice": sliced}, generated={"atlas": first}),
        ]

    store = store_of([*chain(1, 12), *chain(11, 6)])
    found = descended_from(store, {"name": "align", "used.model": 12}, {"generated.atlas": {"$exists": True}})

    assert names(found) == ["average 12"]
    assert names(descended_from(store, {"used.model": 12})) == ["slice", "average 12"]


def test_failures_say_where_inputs_came_from_and_what_else_was_tried(store_of: StoreOf) -> None:
    """A failed task comes with the producer of its input and the attempts with the same inputs, not with others."""
    error = {"type": "OSError", "message": "disk full"}
    used = {"data": LARGE}
    store = store_of(
        [
            activity(1, "load", generated={"data": LARGE}, **RUN),
            activity(2, "fit", used=used, status="error", error=error, host="n1", **RUN),
            activity(3, "fit", used=used, status="error", error=error, host="n2", **RUN),
            activity(4, "fit", used=used, **RUN),
            activity(5, "fit", used={"data": "another"}, **RUN),
            activity(6, "fit", used=used, workflow_id="another"),
        ]
    )
    latest, first = failures(store)

    assert (latest.record.host, first.record.host) == ("n2", "n1")
    assert latest.record.error is not None
    assert latest.record.error.message == "disk full"
    assert names(latest.producers) == ["load"]
    assert [record.span_id[-1] for record in latest.attempts] == ["2", "3", "4"]


def test_unfinished_are_the_longest_silent_first(store_of: StoreOf) -> None:
    """What runs and what was lost is told in the order of its last sign of life."""
    store = store_of(
        [
            activity(1, "done"),
            activity(2, "runs", at=(2, None), status="running", last_seen_at=EPOCH + 90 * SECOND),
            activity(3, "lost", at=(3, None), status="lost", last_seen_at=EPOCH + 10 * SECOND),
            activity(4, "queued", at=(4, None), status="submitted"),
        ]
    )

    assert names(unfinished(store)) == ["queued", "lost", "runs"]
    assert names(unfinished(store, {"status": "lost"})) == ["lost"]


def test_hot_spots_by_name_and_host(store_of: StoreOf) -> None:
    """Costs are added up by whatever makes the groups; tasks that do not have the cost do not count."""
    store = store_of(
        [
            activity(1, "fit", host="n1", telemetry={"cpu.user": 4.0, "gpu.energy": 100.0}),
            activity(2, "fit", host="n2", telemetry={"cpu.user": 1.0, "gpu.energy": 20.0}),
            activity(3, "load", host="n2", telemetry={"cpu.user": 2.0}),
            activity(4, "plot", host="n2"),
        ]
    )

    assert hot_spots(store) == [
        {"name": "fit", "total": 5.0, "most": 4.0, "tasks": 2},
        {"name": "load", "total": 2.0, "most": 2.0, "tasks": 1},
    ]
    assert hot_spots(store, "telemetry.gpu.energy", by="host", limit=1) == [
        {"host": "n1", "total": 100.0, "most": 100.0, "tasks": 1}
    ]


def test_schedule_of_a_diamond(store_of: StoreOf) -> None:
    """The critical path goes through the slower of two branches; the faster one has the difference as slack."""
    store = store_of(
        [
            activity(1, "load", at=(0, 1), generated={"a": LARGE}, **RUN),
            activity(2, "slow", at=(1, 6), used={"a": LARGE}, generated={"b": FLOAT}, **RUN),
            activity(3, "fast", at=(1, 3), used={"a": LARGE}, generated={"c": LARGE + "c"}, **RUN),
            activity(4, "join", at=(6, 8), used={"b": FLOAT, "c": LARGE + "c"}, **RUN),
        ]
    )
    found = schedule(store, "run")

    assert names(found.path) == ["load", "slow", "join"]
    assert found.slack == {id_of(1): 0, id_of(2): 0, id_of(3): 3, id_of(4): 0}


def test_imbalance_compares_the_busiest_with_the_average(store_of: StoreOf) -> None:
    """Of two hosts of which one was busy three times as long, the busiest has half as much again as the average."""
    records = [activity(1, at=(0, 3), host="n1", **RUN), activity(2, at=(0, 1), host="n2", **RUN)]
    store = store_of(records)

    assert imbalance(store, "run") == 1.5
    with pytest.raises(UserError, match="says its rank"):
        imbalance(store, "run", by="rank")


def test_ranking_of_configurations(store_of: StoreOf) -> None:
    """Configurations are in the order of their best value, from either end."""
    trials = [(0.1, 0.5), (0.1, 0.9), (0.2, 0.8)]
    store = store_of(
        [activity(i, used={"rate": rate}, generated={"score": score}) for i, (rate, score) in enumerate(trials, 1)]
    )

    found = ranking(store, "generated.score", "used.rate")
    assert [(row["used.rate"], row["best"], row["tasks"]) for row in found] == [(0.1, 0.9, 2), (0.2, 0.8, 1)]
    assert [row["best"] for row in ranking(store, "generated.score", "used.rate", lowest=True)] == [0.5, 0.8]


def test_what_was_computed_again_and_what_came_out_differently(store_of: StoreOf) -> None:
    """Same code and inputs are repeats, across runs; other code, other inputs and what failed are none."""
    other: dict[str, Any] = {"hash": "sha256:" + "b" * 64}
    store = store_of(
        [
            activity(1, "fit", at=(1, 2), used={"x": 1}, generated={"y": 1}, plan=PLAN, workflow_id="a"),
            activity(2, "fit", at=(2, 5), used={"x": 1}, generated={"y": 1}, plan=PLAN, workflow_id="b"),
            activity(3, "draw", at=(5, 6), used={"x": 2}, generated={"y": 1}, plan=PLAN),
            activity(4, "draw", at=(6, 7), used={"x": 2}, generated={"y": 2}, plan=PLAN),
            activity(5, "fit", used={"x": 1}, generated={"y": 1}, plan=other),
            activity(6, "fit", used={"x": 1}, status="error", plan=PLAN),
            activity(7, "fit", used={"x": 1}, generated={"y": 1}),
        ]
    )

    assert [(names(found.records), found.seconds, found.results) for found in recomputed(store)] == [
        (["fit", "fit"], 3.0, 1),
        (["draw", "draw"], 1.0, 2),
    ]
    assert [names(found.records) for found in unstable(store)] == [["draw", "draw"]]


def calls() -> list[PlainRecord]:
    """Return what an agent did, and what came of it."""
    agent: dict[str, Any] = {"id": "a1", "name": "planner", "type": "software", "acted_on_behalf_of": "ada"}
    asked = {"gen_ai.request.model": "m1", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}
    ada: dict[str, Any] = {"id": "ada", "name": "Ada", "type": "person"}
    return [
        activity(1, "main", at=(1, 20), kind="workflow", agent=ada),
        activity(2, "chat", kind="llm", generated={"response": LARGE}, agent=agent, attributes=asked, plan=PLAN),
        activity(3, "chat", kind="llm", status="error", agent=agent, attributes=asked),
        activity(4, "search", kind="tool", agent=agent, used={"query": "x"}),
        activity(5, "simulate", used={"setting": LARGE}, generated={"result": FLOAT}, parent=1),
        activity(6, "chat", kind="llm", attributes={**asked, "gen_ai.request.model": "m2"}),
    ]


def test_what_an_agent_did_and_what_its_response_touched(store_of: StoreOf) -> None:
    """An agent's activities are told by its id or name; a response leads to the tasks that used it."""
    store = store_of(calls())

    assert names(agent_trace(store, "a1")) == names(agent_trace(store, "planner")) == ["chat", "chat", "search"]
    assert names(store.lineage(id_of(2), "downstream").activities.values()) == ["chat", "simulate"]
    assert store.agents() == [
        {"agent.id": "a1", "activities": 3, "failed": 0},
        {"agent.id": "ada", "activities": 1, "failed": 0},
    ]


def test_what_models_took(store_of: StoreOf) -> None:
    """Tokens, latency and errors are told by model."""
    first, second = model_usage(store_of(calls()))

    assert first == {
        "attributes.gen_ai.request.model": "m1",
        "calls": 2,
        "input_tokens": 20,
        "output_tokens": 10,
        "seconds": 1.0,
        "p95": 1.0,
        "errors": 1,
    }
    assert (second["calls"], second["errors"]) == (1, 0)


def test_who_is_responsible(store_of: StoreOf) -> None:
    """A datum leads to who acted and on whose behalf, or to whoever acted around the task that made it."""
    store = store_of(calls())
    (response,) = responsible(store, LARGE)
    (result,) = responsible(store, FLOAT)

    assert [agent.name for agent in response.agents] == ["planner", "Ada"]
    assert response.plan is not None
    assert response.plan.function == "fit"
    assert ([agent.id for agent in result.agents], result.record.name) == (["ada"], "main")


def test_runs_of_an_old_environment(store_of: StoreOf) -> None:
    """Versions are compared by number: 3.9 is older than 3.11."""
    store = store_of(
        [
            activity(number, workflow_id=f"w{number}", resource={"process.runtime.version": version})
            for number, version in enumerate(["3.9.1", "3.11.0", "3.12.0"], 1)
        ]
    )

    assert runs_before(store, "process.runtime.version", "3.11") == ["w1"]
    assert runs_before(store, "process.runtime.version", "3.12") == ["w1", "w2"]
    assert runs_before(store, "service.version", "1") == []


def test_runs_with_a_package(backend: Backend) -> None:
    """A run is told by the list of its environment, which another process recorded; names are compared as PyPI does."""
    lists: dict[str, Any] = {"sha256:1": ["NumPy==1.9.1", "scikit_learn==1.8"], "sha256:2": ["numpy==1.26.4"]}
    hashes = ["sha256:1", "sha256:1", "sha256:2", "sha256:3"]
    with backend.new() as place:
        writer = place.writer()
        writer.write(
            [
                activity(number, workflow_id=f"w{number}", resource={HASH: known})
                for number, known in enumerate(hashes, 1)
            ]
        )
        writer.write_logs(
            [
                {"time": EPOCH, "name": names_of.EVENT_PYTHON_ENVIRONMENT, "attributes": {HASH: known, LIST: listed}}
                for known, listed in lists.items()
            ]
        )
        writer.close()
        with Store(place.location, place.reader(), DrainReport(0, 0, {})) as store:
            assert runs_with_package(store, "numpy") == ["w1", "w2", "w3"]
            assert runs_with_package(store, "numpy", before="1.26.4") == ["w1", "w2"]
            assert runs_with_package(store, "Scikit.Learn") == ["w1", "w2"]
            assert runs_with_package(store, "scipy") == []


def test_tasks_of_a_name_with_a_parameter_on_a_weekday(store_of: StoreOf) -> None:
    """Range and parameter are a filter; a weekday is asked for in SQL, or of the start of a record."""
    day = 24 * 3600 * SECOND
    store = store_of(
        [
            activity(number, "align", used={"model": 12 + number % 2}, started_at=EPOCH + number * day)
            for number in range(1, 15)
        ]
    )
    begin = datetime.fromtimestamp(EPOCH // SECOND, UTC)
    where = {"name": "align", "used.model": 12, "started_at": {"$gte": begin, "$lt": begin + timedelta(days=9)}}
    wanted = [number for number in range(1, 9) if number % 2 == 0]

    found = store.tasks(where, all_runs=True, sort="started_at")
    assert [record.span_id for record in found] == [f"{number:016x}" for number in wanted]
    monday = [number for number in wanted if (begin + timedelta(days=number)).weekday() == 0]
    in_sql = store.sql(
        "select span_id from tasks where name = 'align' and used.model = 12 and dayname(started_at) = 'Monday' "
        "and started_at < timestamptz '2023-11-23 22:13:20+00'",
        library="arrow",
    )
    assert in_sql["span_id"].to_pylist() == [f"{number:016x}" for number in monday]
    assert [record.span_id for record in found if record.started_at.weekday() == 0] == in_sql["span_id"].to_pylist()


def test_data_that_crossed_a_border(store_of: StoreOf) -> None:
    """What one host made and another used is told, within a store and between stores that never met."""
    there = [activity(1, "simulate", generated={"out": file("file:///x")}, host="a", campaign_id="c1")]
    here = [
        activity(2, "train", used={"data": file("file:///y")}, host="b", campaign_id="c2"),
        activity(3, "train", used={"data": file("file:///x")}, host="a", campaign_id="c1"),
    ]

    for found in (crossings(store_of(there + here)), crossings(store_of(here), also=[store_of(there)])):
        assert [(crossing.sides, crossing.user.name, crossing.origin.record.name) for crossing in found] == [
            (("a", "b"), "train", "simulate")
        ]
    assert len(crossings(store_of(there + here), "campaign_id")) == 1
    assert crossings(store_of(there + here), "run") == []


def test_figures_pages_and_campaigns(store_of: StoreOf) -> None:
    """Figures of groups, values of a field, campaigns, and pages that a cursor continues."""
    records = [
        activity(1, "main", kind="workflow", campaign_id="c"),
        *(activity(number, "fit", used={"x": number % 2}, campaign_id="c") for number in range(2, 6)),
        activity(6, "fit", status="error", campaign_id="c"),
    ]
    store = store_of(records)

    assert store.aggregate({"n": "count", "x": "max(used.x)"}, {"kind": "task"}, by="status", sort="-n") == [
        {"status": "finished", "n": 4, "x": 1},
        {"status": "error", "n": 1, "x": None},
    ]
    assert store.distinct("name") == ["fit", "main"]
    assert store.campaigns() == [{"campaign_id": "c", "workflows": 1, "failed": 1}]
    first, cursor = store.page({"kind": "task"}, sort="started_at", limit=3)
    second, end = store.page({"kind": "task"}, sort="started_at", limit=3, after=cursor)
    assert [record.span_id[-1] for record in first + second] == ["2", "3", "4", "5", "6"]
    assert end is None
    with pytest.raises(FilterError, match="is no figure"):
        store.aggregate({"n": "count("})
