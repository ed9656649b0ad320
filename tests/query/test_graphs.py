"""A lineage for other programs: networkx, GraphML, DOT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from provtel_model.components import DrainReport
from provtel_model.errors import UserError
from provtel_query import Store
from provtel_query.graphs import write

from tests.query.activities import activity, id_of, quickstart
from tests.query.memory import MemoryReader

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_model.record import PlainRecord
    from provtel_query import Lineage


def lineage(records: list[PlainRecord], target: str) -> Lineage:
    """Return an upstream lineage."""
    with Store("", MemoryReader(records), DrainReport(0, 0, {})) as store:
        return store.lineage(target)


def test_networkx_has_what_the_lineage_has() -> None:
    """Nodes are activities and data, and data flow along the edges, each of which says how it is known."""
    graph = lineage(quickstart(), "o2=8").networkx()

    source, target = f"{id_of(2)}/o1", id_of(3)
    assert nx.has_path(graph, id_of(2), f"{id_of(3)}/o2")
    assert graph.nodes[target]["label"] == "mult_two"
    assert graph.nodes[source]["label"] == "o1 = 4"
    assert graph.edges[source, target, 0]["evidence"] == "same_name_and_value"
    assert {said["relation"] for *_, said in graph.edges.data()} == {"used", "generated"}


def test_networkx_without_data_joins_activities() -> None:
    """Without data an edge leads from an activity to the one that used what it generated."""
    graph = lineage(quickstart(), "o2=8").without_data().networkx()

    assert list(graph.edges(data="relation")) == [(id_of(2), id_of(3), "informed")]


def test_graphml_is_read_back_by_networkx(tmp_path: Path) -> None:
    """GraphML holds the same nodes and edges, with all that they say."""
    found = lineage(quickstart(), "o2=8")

    read = nx.read_graphml(found.draw(tmp_path / "x.graphml"), force_multigraph=True)

    assert list(read.nodes.data()) == list(found.networkx().nodes.data())
    assert [said for *_, said in read.edges.data()] == [said for *_, said in found.networkx().edges.data()]


@given(st.text(max_size=20))
def test_any_text_can_be_written(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever is in a name or a value, GraphML stays readable, and every quoted text of DOT stays on one line."""
    folder = tmp_path_factory.mktemp("graphs")
    records = [activity(1, text, used={"x" + text: text}, generated={"y": 1})]

    nx.read_graphml(write(lineage(records, id_of(1)), folder / "x.graphml"))
    lines = write(lineage(records, id_of(1)), folder / "x.dot").read_text("utf-8").split("\n")

    assert lines[0] == "digraph lineage {"
    assert all(line.endswith("];") for line in lines[1:-2])


def test_no_such_folder_is_told(tmp_path: Path) -> None:
    """A file that cannot be written is named, with the reason."""
    with pytest.raises(UserError, match=r"nowhere/x\.dot cannot be written: No such file"):
        lineage(quickstart(), "o2=8").draw(tmp_path / "nowhere" / "x.dot")
