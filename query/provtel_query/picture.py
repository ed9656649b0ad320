"""A lineage as a picture: data flows from left to right, activities are boxes, data are ellipses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provtel_model.dataflow import content_key
from provtel_model.errors import UserError
from provtel_model.record import State

from provtel_query.evidence import Evidence
from provtel_query.text import cut, value_text

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import networkx as nx
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from provtel_model.record import Record

    from provtel_query.lineage import Entity, Lineage

SUFFIXES: Final = (".svg", ".png")
CROWDED: Final = 60
"""From so many nodes on, small data that nobody generated, such as parameters, are written into the boxes."""

_WIDTH, _HEIGHT = 2.2, 0.5
_GAP_ACROSS, _GAP_DOWN = 0.9, 0.25
_TITLE: Final = 0.8
_LABEL: Final = 26
_SWEEPS: Final = 4
_PIXELS: Final = 16_000
_DPI: Final = 150
_COLOURS: Final = {State.FINISHED: "#dbe9f6", State.ERROR: "#f8d0cc"}
_OPEN_COLOUR: Final = "#e6e6e6"
_DATA_COLOUR: Final = "#fdf3d0"
_INK: Final = "#333333"
_ARROW: Final[dict[str, Any]] = {"arrowstyle": "-|>", "color": "#888888", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
_STYLES: Final = {Evidence.SAME_CONTENT: "dashed", Evidence.SAME_NAME_AND_VALUE: "dotted"}


class _Place(NamedTuple):
    """The middle of a node."""

    x: float
    y: float


def draw(lineage: Lineage, path: str | os.PathLike[str], title: str = "") -> Path:
    """Write a lineage as a picture, as SVG or PNG by the name's suffix; the same lineage gives the same SVG.

    Edges known by content are dashed, by name and value dotted, all others solid.

    Raises:
        UserError: The suffix is another, the folder cannot be written, or the packages for pictures are not installed.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise UserError(f"{target} is no picture that can be drawn; end its name in .svg, .png, .dot or .graphml")
    try:
        graph = _graph(lineage)
        figure = _figure(graph, _places(graph), title)
    except ImportError:
        raise UserError("pictures need networkx and matplotlib; run: pip install 'provtel[pictures]'") from None
    try:
        _save(figure, target)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror}") from None
    return target


def _graph(lineage: Lineage) -> nx.DiGraph[str]:
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    folded = _folded(lineage)
    inputs: dict[str, list[Entity]] = {}
    for usage in lineage.usages:
        if usage.entity in folded:
            inputs.setdefault(usage.activity, []).append(lineage.entities[usage.entity])
    for record in lineage.activities.values():
        graph.add_node(record.id, record=record, lines=_activity_lines(record, inputs.get(record.id, ())))
    for entity in lineage.entities.values():
        if entity.id not in folded:
            graph.add_node(entity.id, record=None, lines=_entity_lines(entity))
    for generation in lineage.generations:
        graph.add_edge(generation.activity, generation.entity, style="solid")
    for usage in lineage.usages:
        if usage.entity not in folded:
            style = _STYLES.get(usage.evidence, "solid") if usage.evidence else "solid"
            graph.add_edge(usage.entity, usage.activity, style=style)
    return graph


def _folded(lineage: Lineage) -> set[str]:
    if len(lineage) < CROWDED:
        return set()
    generated = {generation.entity for generation in lineage.generations}
    uses = Counter(usage.entity for usage in lineage.usages if usage.evidence is None)
    return {
        identity
        for identity, count in uses.items()
        if identity not in generated
        and identity not in lineage.roots
        and _says_little(lineage.entities[identity], count)
    }


def _says_little(entity: Entity, uses: int) -> bool:
    return uses == 1 or content_key(entity.value) is None


def _activity_lines(record: Record, inputs: Iterable[Entity]) -> list[str]:
    name = record.name if record.status is State.FINISHED else f"{record.name} ({record.status})"
    texts = [f"{entity.role}={value_text(entity.value, 10)}" for entity in inputs]
    return [cut(text, _LABEL) for text in (name, " ".join(texts)) if text]


def _entity_lines(entity: Entity) -> list[str]:
    return [cut(f"{entity.role} = {value_text(entity.value, _LABEL)}", _LABEL)]


def _places(graph: nx.DiGraph[str]) -> dict[str, _Place]:
    columns: dict[int, list[str]] = {}
    for node, column in _columns(graph).items():
        columns.setdefault(column, []).append(node)
    rows = {node: float(row) for nodes in columns.values() for row, node in enumerate(nodes)}
    for sweep in range(_SWEEPS):
        for column in sorted(columns, reverse=bool(sweep % 2)):
            columns[column].sort(key=lambda node: (_middle(graph, node, rows), rows[node]))
            rows.update((node, row - len(columns[column]) / 2) for row, node in enumerate(columns[column]))
    return {
        node: _Place(column * (_WIDTH + _GAP_ACROSS), -rows[node] * (_HEIGHT + _GAP_DOWN))
        for column, nodes in columns.items()
        for node in nodes
    }


def _columns(graph: nx.DiGraph[str]) -> dict[str, int]:
    import networkx as nx

    # Cycles, which only a wrong clock or a wrong link makes, share a column.
    condensed: Any = nx.condensation(graph)
    columns: dict[Any, int] = {}
    for column, components in enumerate(nx.topological_generations(condensed)):
        columns.update((component, column) for component in components)
    for component in condensed:
        after = [columns[successor] for successor in condensed.successors(component)]
        if after and not condensed.in_degree(component):
            columns[component] = min(after) - 1
    members = condensed.nodes.data("members")
    found = {node: columns[component] for component, nodes in members for node in nodes}
    return {node: found[node] for node in graph}


def _middle(graph: nx.DiGraph[str], node: str, rows: dict[str, float]) -> float:
    neighbours = [*graph.predecessors(node), *graph.successors(node)]
    return sum(rows[neighbour] for neighbour in neighbours) / len(neighbours) if neighbours else rows[node]


def _figure(graph: nx.DiGraph[str], places: dict[str, _Place], title: str) -> Figure:
    from matplotlib.figure import Figure

    left = min((place.x for place in places.values()), default=0) - _WIDTH
    right = max((place.x for place in places.values()), default=0) + _WIDTH
    bottom = min((place.y for place in places.values()), default=0) - _HEIGHT
    top = max((place.y for place in places.values()), default=0) + _HEIGHT + _TITLE
    figure = Figure(figsize=(right - left, top - bottom))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(left, right), ylim=(bottom, top))
    axes.set_axis_off()
    axes.text(left + 0.3, top - 0.3, title, fontsize=12, va="top", color=_INK)
    for source, target, said in graph.edges.data():
        _arrow(axes, places[source], places[target], said["style"])
    for node, said in graph.nodes.items():
        _node(axes, places[node], said["record"], said["lines"])
    return figure


def _arrow(axes: Axes, source: _Place, target: _Place, style: str) -> None:
    axes.annotate(
        "",
        xy=(target.x - _WIDTH / 2, target.y),
        xytext=(source.x + _WIDTH / 2, source.y),
        arrowprops=_ARROW | {"linestyle": style},
        zorder=0,
    )


def _node(axes: Axes, place: _Place, record: Record | None, lines: list[str]) -> None:
    from matplotlib.patches import Ellipse, Patch, Rectangle

    shape: Patch
    if record is None:
        shape = Ellipse((place.x, place.y), _WIDTH, _HEIGHT, facecolor=_DATA_COLOUR, edgecolor=_INK, linewidth=0.8)
    else:
        corner = (place.x - _WIDTH / 2, place.y - _HEIGHT / 2)
        colour = _COLOURS.get(record.status, _OPEN_COLOUR)
        shape = Rectangle(corner, _WIDTH, _HEIGHT, facecolor=colour, edgecolor=_INK, linewidth=0.8)
    axes.add_patch(shape)
    text = "\n".join(lines).replace("$", r"\$")
    axes.text(place.x, place.y, text, ha="center", va="center", fontsize=9 if len(lines) == 1 else 8, color=_INK)


def _save(figure: Figure, target: Path) -> None:
    import matplotlib as mpl

    dpi = min(_DPI, _PIXELS / max(map(float, figure.get_size_inches())))
    metadata = {"Date": None} if target.suffix.lower() == ".svg" else {}
    with mpl.rc_context({"svg.hashsalt": "provtel", "svg.fonttype": "none"}):
        figure.savefig(target, dpi=dpi, metadata=metadata)
