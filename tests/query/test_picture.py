"""Lineages as pictures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from provtel_model.errors import UserError
from provtel_query.picture import draw

from tests.query.activities import activity, id_of, link, quickstart
from tests.query.test_lineage import sweep

if TYPE_CHECKING:
    from pathlib import Path

    from tests.query.conftest import StoreOf

SVG = "{http://www.w3.org/2000/svg}"


def texts(path: Path) -> list[str]:
    """Return the texts in a picture."""
    return ["".join(element.itertext()).strip() for element in ET.parse(path).iter(f"{SVG}text")]  # noqa: S314  # ours


def test_svg_names_activities_and_data(store_of: StoreOf, tmp_path: Path) -> None:
    """A picture has the name of each activity and of each datum, and its title."""
    written = draw(store_of(quickstart()).lineage("o2=8"), tmp_path / "chain.svg", "where 8 came from")

    assert {"where 8 came from", "mult_two", "sum_one", "i1 = 3", "o1 = 4", "o2 = 8"} <= set(texts(written))


def test_svg_is_the_same_each_time(store_of: StoreOf, tmp_path: Path) -> None:
    """The same lineage gives the same bytes."""
    found = store_of(quickstart()).lineage("o2=8")

    assert draw(found, tmp_path / "a.svg").read_bytes() == draw(found, tmp_path / "b.svg").read_bytes()


def test_png(store_of: StoreOf, tmp_path: Path) -> None:
    """A name that ends in .png gives a PNG."""
    written = draw(store_of(quickstart()).lineage("o2=8"), tmp_path / "chain.PNG")

    assert written.read_bytes().startswith(b"\x89PNG")


def test_crowded_pictures_fold_parameters(store_of: StoreOf, tmp_path: Path) -> None:
    """Among many nodes, what one activity alone used and nobody generated is written into its box."""
    written = draw(store_of(sweep(24)).lineage(id_of(200)), tmp_path / "sweep.svg")

    assert "rate=7" in texts(written)
    assert "rate = 7" not in texts(written)


def test_cycles_can_be_drawn(store_of: StoreOf, tmp_path: Path) -> None:
    """A circle, which only a mistake makes, is drawn all the same."""
    records = [
        activity(1, used={"x": 1}, generated={"y": 1}, links=[link(2, "x", "y")]),
        activity(2, used={"x": 1}, generated={"y": 1}, links=[link(1, "x", "y")]),
    ]

    assert "t1" in texts(draw(store_of(records).lineage(id_of(1)), tmp_path / "circle.svg"))


def test_odd_texts_do_no_harm(store_of: StoreOf, tmp_path: Path) -> None:
    """Names and values that mean something to a drawing program are drawn as they are."""
    store = store_of([activity(1, "$x^2$ <b>", generated={"y$_{": "$\\frac{1}$"})])

    assert "$x^2$ <b>" in texts(draw(store.lineage(id_of(1), "downstream"), tmp_path / "odd.svg"))


@pytest.mark.parametrize(("name", "message"), [("a.jpg", "end its name in .svg, .png"), ("no/a.svg", "No such file")])
def test_what_cannot_be_written_is_told(store_of: StoreOf, tmp_path: Path, name: str, message: str) -> None:
    """A suffix that is not drawn and a folder that is not there are errors that say so."""
    with pytest.raises(UserError, match=message):
        draw(store_of(quickstart()).lineage("o2=8"), tmp_path / name)


def test_missing_packages_name_the_extra(store_of: StoreOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the packages for pictures the error says how to install them."""
    monkeypatch.setitem(sys.modules, "networkx", None)

    with pytest.raises(UserError, match=r"provtel\[pictures\]"):
        draw(store_of(quickstart()).lineage("o2=8"), tmp_path / "a.svg")
