"""The Containerfile is one that BuildKit takes, and the image runs the collector as nobody."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.house.project import ROOT

FILE = ROOT / "deployment" / "container" / "Containerfile"


def read(reader: Path, file: Path) -> subprocess.CompletedProcess[str]:
    """Let BuildKit's parser read a file."""
    return subprocess.run([reader, file], capture_output=True, text=True, check=False)


def test_containerfile(container_reader: Path) -> None:
    """BuildKit reads both stages of the file, without a warning."""
    done = read(container_reader, FILE)

    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^FROM .*", done.stdout, re.MULTILINE) == [
        "FROM docker.io/library/python:3.13-slim build",
        "FROM docker.io/library/python:3.13-slim ",
    ]
    assert {"USER", "VOLUME", "ENTRYPOINT", "CMD", "STOPSIGNAL"} <= set(done.stdout.split())


def test_broken_file_is_found(container_reader: Path, tmp_path: Path) -> None:
    """The check would see a mistake."""
    broken = tmp_path / "Containerfile"
    broken.write_text(FILE.read_text().replace("WORKDIR", "WROKDIR"))

    done = read(container_reader, broken)

    assert done.returncode == 1
    assert "WROKDIR" in done.stderr


def test_collector_runs_as_nobody() -> None:
    """The image's user has a number, which Kubernetes can tell from root's."""
    (user,) = re.findall(r"^USER (\d+):\d+$", FILE.read_text(), re.MULTILINE)

    assert int(user) > 0
