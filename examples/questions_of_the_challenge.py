"""The nine questions of the First Provenance Challenge, each answered in a few calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MONDAY = 0
ORDER = 12
STAGES = {"stage 3", "stage 4", "stage 5"}


def names_of(files: Any) -> list[str]:
    """Return the names of files with their folders, in their order."""
    return sorted("/".join(Path(each).parts[-2:]) for each in files)


def everything_behind(store: Any, folder: Path, _first: str, _second: str) -> Iterator[str]:
    """1: the closure of the graphic."""
    found = store.lineage(folder / "atlas-x.gif")
    steps = sorted(record.name for record in found.activities.values())
    yield f"{len(steps)} steps: {', '.join(steps)}"
    files = [entity.value for entity in found.entities.values() if isinstance(entity.value, dict)]
    yield f"{len(files)} files: {', '.join(sorted(Path(each['uri']).name for each in files))}"


def back_to_softmean(store: Any, folder: Path, _first: str, _second: str) -> Iterator[str]:
    """2: the same, to a depth of three steps, where softmean is."""
    found = store.lineage(folder / "atlas-x.gif", depth=3)
    yield ", ".join(sorted(record.name for record in found.activities.values()))


def last_stages(store: Any, folder: Path, _first: str, _second: str) -> Iterator[str]:
    """3: the steps of three stages, with what they were told."""
    for record in sorted(
        store.lineage(folder / "atlas-x.gif").activities.values(), key=lambda record: record.started_at
    ):
        if STAGES & set(record.tags):
            told = {key: value for key, value in record.used.items() if isinstance(value, bool | int | float | str)}
            yield f"{record.name} {told}"


def twelfth_order_on_a_monday(store: Any, _folder: Path, _first: str, _second: str) -> Iterator[str]:
    """4: by name, parameter and day of the week."""
    for record in store.tasks({"name": "align_warp", "used.m": ORDER}, all_runs=True, limit=None):
        if record.started_at.weekday() == MONDAY:
            yield f"{record.name} of {record.started_at:%A %Y-%m-%d}, m={record.used['m']}"


def graphics_of_bright_scans(store: Any, _folder: Path, _first: str, _second: str) -> Iterator[str]:
    """5: from headers that are said to be bright, downstream to what convert and pnmtojpeg generated."""
    graphics = set()
    for header in store.annotated({"global maximum": 4095}):
        for record in store.lineage(header.value, "downstream").activities.values():
            if record.name in {"convert", "pnmtojpeg"}:
                graphics.add(record.generated["graphic"])
    yield ", ".join(names_of(graphics))


def averages_of_twelfth_order(store: Any, _folder: Path, _first: str, _second: str) -> Iterator[str]:
    """6: what softmean generated where an align_warp of order 12 is upstream."""
    for record in store.tasks({"name": "softmean"}, all_runs=True):
        upstream = store.lineage(record).activities.values()
        if any(step.name == "align_warp" and step.used["m"] == ORDER for step in upstream):
            yield names_of([record.generated["image"]])[0]


def what_is_different(store: Any, _folder: Path, first: str, second: str) -> Iterator[str]:
    """7: steps that one run lacks; what both have differs in nothing."""
    found = store.diff(first, second)
    steps = [f"{change.what} {change.name}" for change in found.changes if change.what in {"removed", "added"}]
    yield ", ".join(f"{steps.count(step)} {step}" for step in sorted(set(steps)))
    others = [change for change in found.changes if change.what not in {"removed", "added"}]
    yield f"{found.aligned} steps in both, {', '.join(f'{change.name} {change.key}' for change in others)} differ"


def aligned_from_chicago(store: Any, _folder: Path, _first: str, _second: str) -> Iterator[str]:
    """8: what align_warp made of scans that are said to come from there."""
    warps = set()
    for scan in store.annotated({"center": "UChicago"}):
        for record in store.lineage(scan.value, "downstream", depth=1).activities.values():
            if record.name == "align_warp" and "warp" in record.generated:
                warps.add(record.generated["warp"])
    yield ", ".join(names_of(warps))


def studied_graphics(store: Any, _folder: Path, _first: str, _second: str) -> Iterator[str]:
    """9: graphics by one annotation, with all their others."""
    for found in store.annotated({"studyModality": {"$in": ["speech", "visual", "audio"]}}):
        said: dict[str, Any] = {}
        for annotation in store.annotations(found.value):
            said |= annotation.said
        said.pop("studyModality")
        yield f"{names_of([found.value])[0]}: {said}"


ANSWERS: dict[str, Callable[[Any, Path, str, str], Iterator[str]]] = {
    "Everything that led to Atlas X Graphic": everything_behind,
    "The same, without what is before the averaging of images with softmean": back_to_softmean,
    "Stages 3, 4 and 5 of it, in detail": last_stages,
    "All align_warp of order 12 that ran on a Monday": twelfth_order_on_a_monday,
    "All Atlas Graphics of workflows whose input had a global maximum of 4095": graphics_of_bright_scans,
    "All averaged images where an image was warped by order 12": averages_of_twelfth_order,
    "The differences between the two runs": what_is_different,
    "What align_warp made of scans from UChicago": aligned_from_chicago,
    "Graphics of studies of speech, vision or hearing, and what else is said of them": studied_graphics,
}
"""The questions, and what answers each: called with the store, the folder of the first run, and both runs."""
