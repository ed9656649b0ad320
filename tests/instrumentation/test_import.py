"""`import provtel` is light, and so is a program that records into a journal."""

from __future__ import annotations

import tomllib
from importlib.metadata import requires

import pytest
from provtel.version import VERSION

from tests.house.project import ROOT
from tests.instrumentation.programs import Stage

HEAVY = (
    "asyncio",
    "backports.zstd",
    "click",
    "concurrent.futures",
    "email",
    "google",
    "http",
    "importlib.metadata",
    "kafka",
    "lmdb",
    "matplotlib",
    "multiprocessing",
    "networkx",
    "numpy",
    "opentelemetry.proto",
    "opentelemetry.sdk",
    "pandas",
    "prov",
    "pydantic",
    "pymongo",
    "rich",
    "sklearn",
    "socket",
    "sqlite3",
    "ssl",
    "tomllib",
    "unittest",
    "uvicorn",
    "yaml",
)
LOADED = "import sys; print([name for name in {heavy} if name in sys.modules])"
OURS = """
provtel.accelerator provtel.activity provtel.agents provtel.anatomy provtel.block provtel.calls provtel.carrying
provtel.core provtel.decorators provtel.definition provtel.errors provtel.files provtel.forking provtel.ids
provtel.inputs provtel.known_so_far provtel.interned provtel.leaving provtel.loops provtel.notices
provtel.otel_context provtel.otel_span provtel.outputs provtel.parameters provtel.past provtel.plan provtel.recording
provtel.run provtel.same_function provtel.stepwise provtel.surroundings provtel.telemetry provtel.telemetry.meters
provtel.version provtel.watching
provtel_model provtel_model.anyvalue provtel_model.attributes provtel_model.compiled provtel_model.errors
provtel_model.hashing provtel_model.journal provtel_model.journal.layout provtel_model.values
"""


light_api = pytest.mark.skipif(
    any(needed.startswith("importlib-metadata") for needed in requires("opentelemetry-api") or ()),
    reason="an older OpenTelemetry API loads importlib_metadata, which loads sockets and more",
)


@light_api
def test_import_loads_nothing_heavy(stage: Stage) -> None:
    """An import loads the standard library's small modules, the OpenTelemetry API, msgpack, and no more."""
    outcome = stage.run("import provtel\n" + LOADED.format(heavy=HEAVY))

    assert outcome.stdout == "[]\n"


def test_import_loads_this_of_ours(stage: Stage) -> None:
    """What records is loaded with the first task; an import alone loads exactly these modules."""
    outcome = stage.run(
        "import provtel, sys; print(*[name for name in sys.modules if name.startswith(('provtel.', 'provtel_'))])"
    )

    assert set(outcome.stdout.split()) - {"provtel._accelerator"} == set(OURS.split())


@light_api
def test_recording_loads_nothing_heavy(stage: Stage) -> None:
    """A program that records into a journal loads no more of that either."""
    outcome = stage.run(
        "from provtel import task, workflow\nwith workflow('w'), task('t', used={'x': [1, {'a': 2.5}]}): pass\n"
        + LOADED.format(heavy=HEAVY)
    )

    assert outcome.stdout == "[]\n"


def test_version() -> None:
    """The version that records bear is the package's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == VERSION
