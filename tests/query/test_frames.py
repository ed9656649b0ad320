"""Answers as frames, questions in SQL, and the data of activities."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provtel_model.errors import FilterError, UserError
from provtel_model.hashing import content_hash
from provtel_query import frame
from provtel_query.frames import ENCODING, flat
from provtel_query.friendly import as_json

from tests.exporters.backends import Backend, thinned
from tests.exporters.records import FILTERS, PLAIN_RECORDS, content, merged, numbered
from tests.query.conftest import StoreOf
from tests.query.stores import held, in_memory

if TYPE_CHECKING:
    from provtel_model.record import PlainRecord

BEGIN = 1_790_000_000_000_000_000
TRACE = numbered(0)["trace_id"]
TASKS = [
    numbered(0, used={"lr": 0.1, "n": 1, "N": True}, generated={"loss": 0.5}, name="a"),
    numbered(1, used={"lr": 1, "n": 2, "N": False}, generated={"loss": 0.25}, name="b", status="error"),
    numbered(2, used={"lr": 0.5, "n": "many"}, generated={"loss": 0.5}, name="b", error={"type": "E"}),
]


def test_columns_have_the_types_of_their_values(store_of: StoreOf) -> None:
    """Numbers, texts, times and truth values have columns of their own type; what is mixed is JSON."""
    table = store_of(TASKS).frame(library="arrow", all_runs=True, sort="started_at")
    types = {field.name: field.type for field in table.schema}

    assert types["used.lr"] == types["duration"] == pa.float64()
    assert (types["name"], types["used.N"], types["error.type"]) == (pa.string(), pa.bool_(), pa.string())
    assert types["started_at"] == pa.timestamp("ns", "UTC")
    assert table["started_at"].cast(pa.int64()).to_pylist() == [BEGIN, BEGIN + 1000, BEGIN + 2000]
    assert table["used.N"].to_pylist() == [True, False, None]
    assert table["used.n"].to_pylist() == ["1", "2", '"many"']
    assert table.schema.field("used.n").metadata == {ENCODING: b"json"}
    assert "resource" not in types


def test_frames_of_pandas_and_polars(store_of: StoreOf) -> None:
    """A frame of either library has the columns that were asked for, and numbers stay whole beside missing ones."""
    store = store_of([*TASKS[:2], numbered(3, used={}, name="c")])
    columns = ["name", "used.n", "resource.host.name"]
    in_pandas = store.frame(columns=columns, all_runs=True, sort="started_at")
    in_polars = store.frame(library="polars", columns=columns, all_runs=True, sort="started_at")

    assert [*in_pandas.columns] == in_polars.columns == columns
    assert str(in_pandas["used.n"].dtype) == "Int64"
    assert in_pandas["used.n"].sum() == in_polars["used.n"].sum() == 3
    assert in_polars["resource.host.name"].to_list() == ["node01"] * 3


def test_other_answers_become_frames(store_of: StoreOf) -> None:
    """Figures over groups, campaigns and data are frames as well."""
    store = store_of(TASKS)
    found = frame(store.aggregate({"best": "min(generated.loss)"}, by="name", sort="name"), "polars")

    assert found.to_dicts() == [{"name": "a", "best": 0.5}, {"name": "b", "best": 0.25}]
    assert frame(store.agents(), "arrow").num_rows == 0


def test_what_cannot_be_a_frame_is_told(store_of: StoreOf) -> None:
    """An unknown library or column is an error that names what there is."""
    store = store_of(TASKS)
    with pytest.raises(FilterError, match="unknown library 'numpy' for frames; there are pandas, polars, arrow"):
        store.frame(library="numpy", all_runs=True)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(FilterError, match="did you mean 'started_at'"):
        store.frame(columns=["startd_at"], all_runs=True)


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library is not installed the error says what to run."""
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    with pytest.raises(UserError, match="a frame of polars needs polars; run: pip install polars"):
        in_memory(TASKS).frame(library="polars", all_runs=True)


@given(st.lists(PLAIN_RECORDS, max_size=6))
@settings(max_examples=60)
def test_nothing_is_lost(plains: list[Any]) -> None:
    """Every value of a row is in its column, as it is or as JSON."""
    records = in_memory(plains).records()
    table = frame(records, "arrow")
    rows, names = flat(records)

    assert table.column_names == names
    for name in names:
        is_json = table.schema.field(name).metadata is not None
        is_time = pa.types.is_timestamp(table.schema.field(name).type)
        column = table[name].cast(pa.int64()) if is_time else table[name]
        for row, found in zip(rows, column.to_pylist(), strict=True):
            wanted = row.get(name)
            if wanted is None:
                assert found is None
            elif is_json:
                assert json.loads(found) == as_json(wanted)
            else:
                assert found == wanted or (isinstance(wanted, float) and math.isnan(wanted) and math.isnan(found))


def test_questions_in_sql(store_of: StoreOf) -> None:
    """A select has the answer that a brute force over the records has."""
    store = store_of(TASKS)
    found = store.sql(
        "select name, count(*) as n, min(generated.loss) as best, bool_or(used.N_2) as big, min(started_at) as first "
        "from tasks where used.lr > 0.2 group by name order by name",
        library="arrow",
    )
    assert found.drop(["first"]).to_pylist() == [{"name": "b", "n": 2, "best": 0.25, "big": False}]
    assert found["first"].cast(pa.int64()).to_pylist() == [BEGIN + 1000]
    joined = "select e.hash, t.name from entities e join tasks t on list_contains(e.generated_by, t.id)"
    assert len(store.sql(joined, library="arrow")) == len(TASKS)


@pytest.mark.parametrize("table", ["tasks", "workflows", "records", "entities", "agents", "campaigns"])
def test_tables_of_an_empty_store(table: str) -> None:
    """Every table is there where nothing is in it."""
    assert in_memory([]).sql(f"select count(*) as n from {table}", library="arrow").to_pylist() == [{"n": 0}]  # noqa: S608


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("select nope from tasks", "nope"),
        ("selec", "syntax error"),
        ("select * from nope", "the tables are tasks, workflows, records, entities, agents, campaigns"),
        ("select 1; select 2", "one select"),
        ("", "one select"),
        ("drop table tasks", "one select"),
        ("copy (select 1) to '/tmp/x.csv'", "one select"),
        ("set enable_external_access = true", "one select"),
        ("attach '/tmp/x.db'", "one select"),
        ("select * from read_csv('/etc/passwd')", "disabled by configuration"),
        ("select * from '/etc/passwd'", "does not exist"),
        ("select * from glob('/etc/*')", "disabled by configuration"),
        ("select * from secret_of_the_program", "does not exist"),
    ],
)
def test_what_sql_may_not_do(question: str, says: str) -> None:
    """Only the tables can be asked, by one select; neither files nor variables of the program are reached."""
    secret_of_the_program = pa.table({"x": [1]})
    with pytest.raises(FilterError, match=says):
        in_memory(TASKS).sql(question)
    assert secret_of_the_program


def test_entities(store_of: StoreOf) -> None:
    """Each content is there once, with the roles it had, who generated it and who used it."""
    made = numbered(1, used={}, generated={"model": 0.123456789})
    taken = numbered(2, used={"weights": 0.123456789}, generated={"score": 1})
    big = {"provtel.type": "reference", "hash": "sha256:" + "1" * 64, "type": "file", "uri": "file:///x", "nbytes": 9}
    read = numbered(3, used={"data": big}, generated={})
    store = store_of([taken, read, made])
    (model, score, data) = store.entities(all_runs=True)
    ids = [f"{TRACE}-{number + 1:016x}" for number in range(4)]

    assert (model["hash"], model["roles"]) == (content_hash(0.123456789), ["model", "weights"])
    assert (model["generated_by"], model["used_by"], model["first_at"]) == ([ids[1]], [ids[2]], made["started_at"])
    assert (score["value"], score["generated_by"], score["used_by"]) == (1, [ids[2]], [])
    assert (data["hash"], data["type"], data["uri"], data["nbytes"]) == (big["hash"], "file", "file:///x", 9)
    assert [row["hash"] for row in store.entities(role="data", all_runs=True)] == [big["hash"]]
    for begun in (data["hash"], data["hash"][:12]):
        assert [row["hash"] for row in store.entities(content=begun, all_runs=True)] == [big["hash"]]
    assert store.entities(content="sha256:no", all_runs=True) == []
    assert store.entities({"id": ids[1]}, all_runs=True, limit=1) == [model | {"roles": ["model"], "used_by": []}]
    assert datetime.fromtimestamp(model["first_at"] / 1e9, UTC).year == 2026


@given(plains=st.lists(PLAIN_RECORDS, max_size=8), where=FILTERS)
@settings(max_examples=20)
@thinned
def test_answers_are_those_of_a_list(backend: Backend, plains: list[PlainRecord], where: dict[str, Any]) -> None:
    """For any records and filter a store gives the data, the frame and the rows of SQL that the reference gives."""
    memory = in_memory(merged(plains))
    with held(backend, plains) as store:
        found, wanted = (each.entities(where, all_runs=True, limit=None) for each in (store, memory))
        assert content(found) == content(wanted)
        for known in {row["hash"] for row in wanted[:3]}:
            found = store.entities(where, all_runs=True, limit=None, content=known)
            assert content(found) == content([row for row in wanted if row["hash"] == known])
        found, wanted = (each.frame(where, library="arrow", all_runs=True) for each in (store, memory))
        assert _columns(found) == _columns(wanted)
        question = "select kind, status, count(*), max(duration) from records group by all order by all"
        found, wanted = (each.sql(question, library="arrow") for each in (store, memory))
        assert _columns(found) == _columns(wanted)


def _columns(table: pa.Table) -> dict[str, tuple[pa.DataType, str]]:
    """Return the columns by name; numbers that are none are equal in texts."""
    return {name: (table.schema.field(name).type, repr(table[name].to_pylist())) for name in table.column_names}
