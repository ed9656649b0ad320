"""A lineage for other programs: a graph of networkx, GraphML, and DOT of Graphviz.

Data flow along the edges: from an activity to what it generated (``generated``), from a datum to the activity that used
it (``used``); in a lineage without data from an activity to the one that used what it generated (``informed``). Nodes
have a ``type``, ``activity`` or ``entity``, and a ``label``.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model.errors import UserError

from provtel_query.text import value_text

if TYPE_CHECKING:
    import os

    import networkx as nx
    from provtel_model.record import Record

    from provtel_query.lineage import Entity, Lineage, Usage

SUFFIXES: Final = (".dot", ".graphml")
_VALUE: Final = 200


def networkx_graph(lineage: Lineage) -> nx.MultiDiGraph[str]:
    """Return a lineage as a graph of networkx: nodes by id, with texts and numbers as attributes, none of them null.

    Raises:
        UserError: The package is not installed.
    """
    try:
        import networkx as nx
    except ImportError:
        raise UserError("graphs need networkx; run: pip install 'provtel[pictures]'") from None
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(direction=str(lineage.direction))
    for record in lineage.activities.values():
        graph.add_node(record.id, **_activity(record))
    for entity in lineage.entities.values():
        graph.add_node(entity.id, **_entity(entity))
    for edge in lineage.generations:
        graph.add_edge(edge.activity, edge.entity, relation="generated", role=edge.role)
    for usage in lineage.usages:
        relation = "informed" if usage.entity in lineage.activities else "used"
        graph.add_edge(usage.entity, usage.activity, relation=relation, **_usage(usage))
    return graph


def write(lineage: Lineage, path: str | os.PathLike[str], title: str = "") -> Path:
    """Write a lineage as DOT or GraphML, by the name's suffix; the same lineage gives the same file.

    Raises:
        UserError: The file cannot be written, or networkx is not installed.
    """
    target = Path(path)
    graph = networkx_graph(lineage)
    content = _dot(graph, title) if target.suffix.lower() == ".dot" else _graphml(graph)
    try:
        target.write_bytes(content)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror}") from None
    return target


def _activity(record: Record) -> dict[str, str | int | float]:
    plain = record.plain
    said = {
        "type": "activity",
        "label": record.name,
        "kind": record.kind,
        "status": str(record.status),
        "run": record.run,
        "started_at": record.started_at.isoformat(),
        "host": plain.get("host"),
        "seconds": (plain["ended_at"] - plain["started_at"]) / 1e9 if "ended_at" in plain else None,
    }
    return {key: value for key, value in said.items() if value is not None}


def _entity(entity: Entity) -> dict[str, str]:
    value = value_text(entity.value, _VALUE)
    return {"type": "entity", "label": f"{entity.role} = {value}", "role": entity.role, "value": value}


def _usage(usage: Usage) -> dict[str, str | int | bool]:
    said: dict[str, str | int | bool] = {"role": usage.role, "passed_on": usage.passed_on}
    return said | ({"evidence": str(usage.evidence), "candidates": usage.candidates} if usage.evidence else {})


def _graphml(graph: nx.MultiDiGraph[str]) -> bytes:
    import networkx as nx

    written = io.BytesIO()
    for _, said in [*graph.nodes.items(), *graph.edges.items()]:
        said.update((key, _xml(value)) for key, value in said.items() if isinstance(value, str))
    nx.write_graphml_xml(nx.relabel_nodes(graph, _xml), written)
    return written.getvalue()


def _xml(text: str) -> str:
    """Return a text without the characters that XML cannot have."""
    return "".join(letter if _is_xml(ord(letter)) else "\ufffd" for letter in text)


def _is_xml(point: int) -> bool:
    return point in {0x9, 0xA, 0xD} or 0x20 <= point < 0xD800 or 0xE000 <= point < 0xFFFE or point >= 0x10000  # noqa: PLR2004


def _dot(graph: nx.MultiDiGraph[str], title: str) -> bytes:
    lines = ["digraph lineage {", f"  graph [rankdir=LR, label={_quoted(title)}];"]
    for node, said in graph.nodes.items():
        shape = "box" if said["type"] == "activity" else "ellipse"
        lines.append(f"  {_quoted(node)} [shape={shape}, label={_quoted(said['label'])}];")
    for source, target, said in graph.edges.data():
        label = _quoted(" ".join((said["role"], said.get("evidence", ""))).strip())
        lines.append(f"  {_quoted(source)} -> {_quoted(target)} [label={label}];")
    return "\n".join([*lines, "}", ""]).encode("utf-8", "replace")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\0", "\ufffd")
    return '"' + escaped.replace("\r", "").replace("\n", "\\n") + '"'
