"""The First Provenance Challenge: nine questions of nine have the answers that are known for its graph."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.end_to_end.processes import Place
from tests.house.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ANATOMIES = [f"anatomy{number}.{suffix}" for number in (1, 2, 3, 4) for suffix in ("hdr", "img", "warp")]
RESLICED = [f"resliced{number}.{suffix}" for number in (1, 2, 3, 4) for suffix in ("hdr", "img")]
FILES = [
    *ANATOMIES,
    "atlas-x.gif",
    "atlas-x.pgm",
    "atlas.hdr",
    "atlas.img",
    "reference.hdr",
    "reference.img",
    *RESLICED,
]
STEPS = [*["align_warp"] * 4, "convert", *["reslice"] * 4, "slicer", "softmean"]
KNOWN = {
    1: [f"11 steps: {', '.join(STEPS)}", f"26 files: {', '.join(FILES)}"],
    2: ["convert, slicer, softmean"],
    3: ["softmean {'y': True, 'null': 'null'}", "slicer {'axis': 'x', 'at': 0.5}", "convert {}"],
    4: ["align_warp of Monday 2006-09-04, m=12"],
    5: [
        (
            "first/atlas-x.gif, first/atlas-y.gif, first/atlas-z.gif, "
            "second/atlas-x.jpg, second/atlas-y.jpg, second/atlas-z.jpg"
        )
    ],
    6: ["second/atlas.img", "first/atlas.img"],
    7: ["3 added pgmtoppm, 3 added pnmtojpeg, 3 removed convert", "13 steps in both, atlas with_jpeg differ"],
    8: ["first/anatomy1.warp, first/anatomy3.warp, second/anatomy1.warp, second/anatomy3.warp"],
    9: ["first/atlas-x.gif: {'reviewer': 'Dr. X'}", "first/atlas-y.gif: {'reviewer': 'Dr. Y'}"],
}


def test_nine_of_nine(tmp_path: Path) -> None:
    """Each question is answered as the challenge's published graph has it, and both runs export as valid PROV."""
    place = Place(tmp_path)
    answers: dict[int, list[str]] = {}
    for line in place.run(ROOT / "examples" / "provenance_challenge.py").splitlines():
        asked = re.match(r"(\d)\. ", line)
        if asked:
            answers[int(asked[1])] = []
        else:
            answers[max(answers)].append(line.strip())

    assert len(FILES) == 26
    assert answers == KNOWN

    for number, run in enumerate(place.objects("workflows", "--where", "name=atlas")):
        exported = tmp_path / f"{number}.json"
        place.provtel("export", run["id"], "-o", str(exported))
        place.provtel("prov", "check", str(exported))
