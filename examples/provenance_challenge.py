"""The First Provenance Challenge: a brain atlas from four scans, and nine questions about where it came from.

In 2006 sixteen teams let their systems record this workflow and answer the same questions
(https://openprovenance.org/provenance-challenge/FirstProvenanceChallenge.html). Here the scans are tiny and made up,
the five programs are functions that do the like on them, and every image is a file. The workflow runs twice, the second
time with two programs in the place of ``convert``, as the seventh question asks.

    python examples/provenance_challenge.py [--output FOLDER]
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
from os import fspath
from pathlib import Path
from typing import Any

import provtel
from PIL import Image
from provtel import file, task, workflow
from questions_of_the_challenge import ANSWERS

SUBJECTS = (1, 2, 3, 4)
AXES = ("x", "y", "z")
SIDE = 8
MONDAY = dt.datetime(2006, 9, 4, 10, tzinfo=dt.UTC)
ATLAS_GRAPHIC = "atlas-x.gif"


def make_scans(folder: Path) -> None:
    """Write four anatomies and a reference: an image of bytes, and a header that says how bright it gets."""
    for number in (*SUBJECTS, 0):
        name = f"anatomy{number}" if number else "reference"
        voxels = bytes((x * y + z * (number + 1)) % 256 for x in range(SIDE) for y in range(SIDE) for z in range(SIDE))
        (folder / f"{name}.img").write_bytes(voxels)
        brightest = 4095 if number in {2, 3} else 4000 + number
        (folder / f"{name}.hdr").write_text(f"subject={number}\nglobal maximum={brightest}\n")


@task(outputs="warp", tags=["stage 1"])
def align_warp(image: Any, header: Any, reference: Any, reference_header: Any, m: int, q: bool) -> Any:  # noqa: FBT001
    """Find out how an image must be shifted to look like the reference."""
    path = Path(fspath(image)).with_suffix(".warp")
    subjects = [Path(fspath(each)).read_text().splitlines()[0] for each in (header, reference_header)]
    brightness = [sum(Path(fspath(each)).read_bytes()) for each in (image, reference)]
    path.write_text(
        json.dumps({"shift": (brightness[0] - brightness[1]) % SIDE, "order": m, "quiet": q, "of": subjects})
    )
    return file(path)


@task(outputs=("image", "header"), tags=["stage 2"])
def reslice(warp: Any, image: Any, header: Any) -> tuple[Any, Any]:
    """Shift an image."""
    number = Path(fspath(image)).stem.removeprefix("anatomy")
    shift = json.loads(Path(fspath(warp)).read_text())["shift"]
    voxels = Path(fspath(image)).read_bytes()
    resliced = Path(fspath(image)).with_name(f"resliced{number}.img")
    resliced.write_bytes(voxels[shift:] + voxels[:shift])
    resliced.with_suffix(".hdr").write_text(Path(fspath(header)).read_text() + f"shift={shift}\n")
    return file(resliced), file(resliced.with_suffix(".hdr"))


@task(outputs=("image", "header"), tags=["stage 3"])
def softmean(images: list[Any], headers: list[Any], y: bool, null: str) -> tuple[Any, Any]:  # noqa: FBT001
    """Average images."""
    voxels = [Path(fspath(image)).read_bytes() for image in images]
    atlas = Path(fspath(images[0])).with_name("atlas.img")
    atlas.write_bytes(bytes(sum(column) // len(column) for column in zip(*voxels, strict=True)))
    atlas.with_suffix(".hdr").write_text(Path(fspath(headers[0])).read_text() + f"mean={y} {null}\n")
    return file(atlas), file(atlas.with_suffix(".hdr"))


@task(outputs="slice", tags=["stage 4"])
def slicer(image: Any, header: Any, axis: str, at: float) -> Any:
    """Cut an image in two, and show the cut in shades of gray."""
    if "mean=" not in Path(fspath(header)).read_text():
        raise ValueError(f"{fspath(image)} is no atlas")
    voxels = Path(fspath(image)).read_bytes()
    step = SIDE ** (2 - AXES.index(axis))
    first = int(at * SIDE) * step
    cut = [voxels[(first + place * max(step, 1)) % len(voxels)] for place in range(SIDE * SIDE)]
    path = Path(fspath(image)).with_name(f"atlas-{axis}.pgm")
    path.write_bytes(b"P5 %d %d 255\n" % (SIDE, SIDE) + bytes(cut))
    return file(path)


@task(outputs="graphic", tags=["stage 5"])
def convert(slice: Any) -> Any:  # noqa: A002  # the challenge's word
    """Turn a slice into a GIF."""
    return _saved(slice, "GIF", ".gif")


@task(outputs="colours", tags=["stage 5"])
def pgmtoppm(slice: Any) -> Any:  # noqa: A002
    """Turn shades of gray into shades of red."""
    path = Path(fspath(slice)).with_suffix(".ppm")
    with Image.open(fspath(slice)) as gray:
        black = Image.new("L", gray.size)
        Image.merge("RGB", (gray.convert("L"), black, black)).save(path, "PPM")
    return file(path)


@task(outputs="graphic", tags=["stage 5"])
def pnmtojpeg(colours: Any) -> Any:
    """Turn a coloured slice into a JPEG."""
    return _saved(colours, "JPEG", ".jpg")


def _saved(source: Any, form: str, suffix: str) -> Any:
    path = Path(fspath(source)).with_suffix(suffix)
    with Image.open(fspath(source)) as image:
        image.save(path, form)
    return file(path)


def run(folder: Path, *, with_jpeg: bool) -> str:
    """Run the workflow on the scans in a folder, and return the id of its run."""
    with workflow("atlas", used={"with_jpeg": with_jpeg}) as atlas:
        reference, reference_header = file(folder / "reference.img"), file(folder / "reference.hdr")
        images, headers = [], []
        for number in SUBJECTS:
            image, header = file(folder / f"anatomy{number}.img"), file(folder / f"anatomy{number}.hdr")
            warp = align_warp(image, header, reference, reference_header, m=12, q=True)
            resliced, resliced_header = reslice(warp, image, header)
            images.append(resliced)
            headers.append(resliced_header)
        atlas_image, atlas_header = softmean(images, headers, y=True, null="null")
        for axis in AXES:
            cut = slicer(atlas_image, atlas_header, axis, 0.5)
            if with_jpeg:
                pnmtojpeg(pgmtoppm(cut))
            else:
                convert(cut)
    return str(atlas.id)


def recall_the_lab_book(folder: Path) -> None:
    """Record what only a lab book knows: on a Monday in 2006 somebody aligned a scan by hand."""
    with workflow("lab book"):
        for number, order in ((1, 12), (2, 6)):
            began = MONDAY + dt.timedelta(hours=number)
            used = {"image": file(folder / f"anatomy{number}.img"), "m": order, "q": False}
            provtel.record("align_warp", started_at=began, ended_at=began + dt.timedelta(minutes=5), used=used)


def annotate(store: Any, folder: Path, first: str) -> None:
    """Say what the headers hold, where two scans come from, and what the graphics show."""
    for number in SUBJECTS:
        header = folder / f"anatomy{number}.hdr"
        said = dict(line.split("=", 1) for line in header.read_text().splitlines())
        store.annotate(header, {"global maximum": int(said["global maximum"])}, by="scanheader")
    for number in (1, 3):
        store.annotate(folder / f"anatomy{number}.img", {"center": "UChicago"}, by="curator")
    for axis, modality in zip(AXES, ("speech", "visual", "smell"), strict=True):
        (cut,) = store.tasks({"name": "slicer", "used.axis": axis}, run=first)
        (graphic,) = [
            user for user in store.tasks({"name": "convert"}, run=first) if user.used["slice"] == cut.generated["slice"]
        ]
        store.annotate(graphic.generated["graphic"], {"studyModality": modality, "reviewer": f"Dr. {axis.upper()}"})


def main() -> None:
    """Run everything, and print what is asked and answered."""
    parser = argparse.ArgumentParser(description="Run the First Provenance Challenge.")
    parser.add_argument("--output", type=Path, default=Path("challenge_output"), help="where the images go")
    folder = parser.parse_args().output
    folders = folder / "first", folder / "second"
    for each in folders:
        each.mkdir(parents=True, exist_ok=True)
        make_scans(each)
    first, second = (run(each, with_jpeg=each is folders[1]) for each in folders)
    recall_the_lab_book(folders[0])
    with provtel.connect() as store:
        annotate(store, folders[0], first)
        for number, (question, answer) in enumerate(ANSWERS.items(), 1):
            print(f"{number}. {question}")
            for line in answer(store, folders[0], first, second):
                print(f"   {line}")


if __name__ == "__main__":
    main()
