"""The tasks that are asked about: mosaics after the Montage recipe of WfCommons, of several sizes, and a sweep.

A mosaic of `n` images projects each (mProject), fits each pair of neighbours (mDiffFit), gathers the fits
(mConcatFit), models the background (mBgModel), corrects each image (mBackground), and adds them up (mImgtbl, mAdd,
mViewer). Every datum is a hash-like text of its own, so that tasks are linked by content.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from provtel_model.attributes import SCOPE_NAME
from provtel_model.record import PlainRecord

_BEGIN: Final = 1_790_000_000_000_000_000
_RESOURCE: Final[dict[str, Any]] = {"service.name": "benchmark", "host.name": "node01", "process.pid": 4711}
_NEIGHBOURS: Final = 3
_GATHERED: Final = 500
_FAILS: Final = 250


class Run:
    """One run: makes its tasks, one after the other in time.

    Args:
        number: Which run it is; its ids and its times follow from it.
        name: The name of its workflow.
    """

    def __init__(self, number: int, name: str) -> None:
        self.trace = f"{number + 1:032x}"
        self.name = name
        self.id = f"{self.trace}-{1:016x}"
        self._begin = _BEGIN + number * 1_000_000_000_000
        self._made = 1

    def workflow(self) -> PlainRecord:
        """Return the workflow."""
        return self._record(1, "workflow", self.name, {}, {})

    def task(self, name: str, used: dict[str, Any], generated: dict[str, Any]) -> PlainRecord:
        """Return the next task."""
        self._made += 1
        return self._record(self._made, "task", name, used, generated)

    def _record(
        self, number: int, kind: str, name: str, used: dict[str, Any], generated: dict[str, Any]
    ) -> PlainRecord:
        begun = self._begin + number * 1_000_000
        plain = {
            "trace_id": self.trace,
            "span_id": f"{number:016x}",
            "kind": kind,
            "name": name,
            "status": "finished",
            "workflow_id": self.id,
            "workflow_name": self.name,
            "started_at": begun,
            "ended_at": begun + 500_000 + 1000 * (number % 97),
            "used": used,
            "generated": generated,
            "telemetry": {"cpu.user": 0.001 * (number % 13), "cpu.system": 0.0002},
            "resource": _RESOURCE,
            "scope": {"name": SCOPE_NAME},
        }
        if kind != "workflow":
            plain["parent_id"] = self.id
        return cast("PlainRecord", plain)

    def datum(self, what: str) -> str:
        """Return a datum of this run."""
        return f"{what} of {self.name} {self.trace}"


def mosaic(number: int, images: int) -> Iterator[PlainRecord]:
    """Yield the records of a mosaic; the last generated `mosaic_datum`, of which all the rest is the lineage."""
    run = Run(number, f"mosaic-{images}")
    yield run.workflow()
    for image in range(images):
        yield run.task("mProject", {"raw": run.datum(f"raw {image}")}, {"projected": run.datum(f"projected {image}")})
    fits = []
    for image in range(images):
        for step in range(1, _NEIGHBOURS + 1):
            other = (image + step) % images
            fits.append(run.datum(f"fit {image} {other}"))
            pair = {"one": run.datum(f"projected {image}"), "other": run.datum(f"projected {other}")}
            yield run.task("mDiffFit", pair, {"fit": fits[-1]})
    table = []
    for begin in range(0, len(fits), _GATHERED):
        table.append(run.datum(f"fits {begin}"))
        yield run.task("mConcatFit", {"fits": fits[begin : begin + _GATHERED]}, {"table": table[-1]})
    yield run.task("mBgModel", {"tables": table}, {"corrections": run.datum("corrections")})
    corrected = []
    for image in range(images):
        corrected.append(run.datum(f"corrected {image}"))
        used = {"projected": run.datum(f"projected {image}"), "corrections": run.datum("corrections")}
        yield run.task("mBackground", used, {"corrected": corrected[-1]})
    parts = []
    for begin in range(0, images, _GATHERED):
        parts.append(run.datum(f"part {begin}"))
        yield run.task("mImgtbl", {"images": corrected[begin : begin + _GATHERED]}, {"part": parts[-1]})
    yield run.task("mAdd", {"parts": parts}, {"mosaic": run.datum("added")})
    yield run.task("mViewer", {"mosaic": run.datum("added")}, {"picture": mosaic_datum(number, images)})


def mosaic_datum(number: int, images: int) -> str:
    """Return the picture that a mosaic generated."""
    return Run(number, f"mosaic-{images}").datum("picture")


def raw_datum(number: int, images: int) -> str:
    """Return the first raw image of a mosaic."""
    return Run(number, f"mosaic-{images}").datum("raw 0")


def sweep(number: int, tasks: int) -> Iterator[PlainRecord]:
    """Yield the records of a sweep: one model after the other, each trained with other parameters, and scored.

    A tenth of its models is trained with a rate of its own, the others as in every other sweep.
    """
    run = Run(number, f"sweep-{number}")
    yield run.workflow()
    for each in range(tasks // 2):
        rate = 0.01 * (1 + each % 10) + (0.0001 * number if each % 10 == 0 else 0)
        model = f"model {each} trained with rate {rate}"
        yield run.task("train", {"rate": rate, "epochs": each % 50}, {"model": model})
        score = run.task("score", {"model": model}, {"accuracy": 1 / (1.7 + each), "loss": each / 3 + rate})
        if each % _FAILS == 0:
            score["status"] = "error"
            score["error"] = {"type": "ValueError", "message": "the model is not finite"}
        yield score
