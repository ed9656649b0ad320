"""The compose file is one that Docker takes, and its services have configurations that can be used."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from provtel_cli.main import main

from tests.house.project import ROOT, pyproject

FOLDER = ROOT / "deployment"
FILE = FOLDER / "compose" / "compose.yaml"
FILES = {
    "compose": ({"kafka"}, {"collector", "store"}),
    "mongodb": ({"mongodb"}, {"collector"}),
    "redis": ({"redis"}, {"collector", "store"}),
    "fanout": ({"kafka", "mongodb"}, {"collector"}),
}
IMAGES = {
    "kafka": "docker.io/apache/kafka:",
    "mongodb": "docker.io/library/mongo:",
    "redis": "docker.io/library/redis:",
}
CONTAINERFILE = FOLDER / "container" / "Containerfile"


def project(reader: Path, file: Path) -> dict[str, Any]:
    """Return what Docker's library makes of the file."""
    done = subprocess.run([reader, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


@pytest.mark.parametrize("name", FILES)
def test_services(compose_reader: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker reads a file; each collector's command line is one, and its image is built from what is there."""
    services = project(compose_reader, FILE.with_name(f"{name}.yaml"))["services"]
    others, collectors = FILES[name]

    assert set(services) == others | collectors
    for other in others:
        assert services[other]["image"].startswith(IMAGES[other])
    for collector in collectors:
        service = services[collector]
        build = Path(service["build"]["context"])
        assert (build / service["build"]["dockerfile"]).resolve() == CONTAINERFILE
        for variable, value in service["environment"].items():
            monkeypatch.setenv(variable, value)
        assert main(["collector", "validate", *service["command"]]) == 0
        assert {one: how["condition"] for one, how in service["depends_on"].items()} == dict.fromkeys(
            others, "service_healthy"
        )


def test_broken_file_is_found(compose_reader: Path, tmp_path: Path) -> None:
    """The check would see a mistake."""
    broken = tmp_path / "compose.yaml"
    broken.write_text(FILE.read_text().replace("restart:", "restrat:"))

    done = subprocess.run([compose_reader, broken], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "restrat" in done.stderr


def test_image_installs_what_there_is() -> None:
    """The image and the recipe for Apptainer ask for extras that there are, of the version that there is."""
    known = pyproject()["project"]
    for file in (CONTAINERFILE, FOLDER / "apptainer" / "collector.def"):
        ((extras, _),) = re.findall(r'"/source\[([\w,]+)\]"()', file.read_text())
        assert set(extras.split(",")) <= set(known["optional-dependencies"])
    versions = {
        version
        for file in FOLDER.rglob("*")
        if file.is_file()
        for version in re.findall(r"provtel-collector:(\d[\w.]*)|^ *Version (.*)$", file.read_text(), re.MULTILINE)
        for version in version
        if version
    }
    assert versions == {known["version"]}
