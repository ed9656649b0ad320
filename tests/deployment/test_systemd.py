"""The units are ones that systemd takes, and give the collector no more than it needs."""

from __future__ import annotations

import gzip
import http.client
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from provtel_collector.process import STOP_SECONDS
from provtel_collector_config.presets import presets
from provtel_exporters.lmdb import open_reader
from provtel_model.filters import Query

from tests.collector.parts import traces
from tests.collector.running import running
from tests.house.project import ROOT

FOLDER = ROOT / "deployment"
UNITS = {"system": FOLDER / "systemd" / "provtel-collector.service"}
UNITS["user"] = FOLDER / "systemd" / "user" / "provtel-collector.service"
PROVTEL = Path(sys.executable).with_name("provtel")
MOST_EXPOSED = {"system": 1.5, "user": 6.5}


def settings(unit: Path) -> dict[str, list[str]]:
    """Return what a unit sets, each as often as it does."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def installed(kind: str, folder: Path) -> Path:
    """Return a copy of a unit that starts the command of this environment, with the edge's changes beside it."""
    unit = folder / "provtel-collector.service"
    unit.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={PROVTEL}", UNITS[kind].read_text()))
    changes = folder / "provtel-collector.service.d"
    changes.mkdir()
    (changes / "edge.conf").write_text((FOLDER / "edge" / "edge.conf").read_text())
    return unit


@pytest.mark.parametrize("kind", UNITS)
def test_unit_is_one(kind: str, systemd_analyze: Path, tmp_path: Path) -> None:
    """Nothing is to be said of a unit, or of the changes of the edge to it, when systemd reads them."""
    done = subprocess.run(
        [systemd_analyze, f"--{kind}", "verify", installed(kind, tmp_path)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", UNITS)
def test_exposure(kind: str, systemd_analyze: Path, tmp_path: Path) -> None:
    """A unit counts among the well protected ones, as far as that of a user can be."""
    done = subprocess.run(
        [systemd_analyze, "security", "--offline=true", installed(kind, tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )

    (exposure,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(exposure) <= MOST_EXPOSED[kind]


@pytest.mark.parametrize("kind", UNITS)
def test_unit_fits_the_collector(kind: str) -> None:
    """A unit runs a preset that there is, waits until it is ready, reloads it, and lets it finish."""
    said = settings(UNITS[kind])
    (preset,) = re.findall(r"PROVTEL_COLLECTOR_CONFIG=preset:(\w+)", UNITS[kind].read_text())

    assert preset in presets()
    assert said["Type"] == ["notify"]
    assert said["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert int(said["TimeoutStopSec"][0]) > STOP_SECONDS
    assert said["ExecStart"][0].endswith("provtel collector --config ${PROVTEL_COLLECTOR_CONFIG}")


@pytest.mark.skipif(sys.platform != "linux", reason="a process confines itself by prctl")
def test_collector_runs_confined(tmp_path: Path) -> None:
    """Where no memory may be both written and run, as the unit has it, the collector works all the same."""
    environment = {
        "PROVTEL_COLLECTOR_ENDPOINT": "127.0.0.1:0",
        "PROVTEL_COLLECTOR_HEALTH_ENDPOINT": "127.0.0.1:0",
        "PROVTEL_STORE": str(tmp_path / "store"),
    }
    quiet = ("--set", "service.telemetry.metrics.level=none")
    command: list[str | Path] = [
        Path(__file__).with_name("confined.py"),
        "collector",
        "--config",
        "preset:embedded",
        *quiet,
    ]
    with running(command, tmp_path, **environment) as collector:
        connection = http.client.HTTPConnection(collector.addresses["otlp"].removeprefix("http://"), timeout=30)
        with closing(connection):
            body = gzip.compress(traces(5))
            headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
            connection.request("POST", "/v1/traces", body, headers)
            assert connection.getresponse().status == http.HTTPStatus.OK
        assert collector.stop() == 0

    with closing(open_reader(str(tmp_path / "store"))) as reader:
        assert reader.count(Query()) == 5
    assert (tmp_path / "store" / "lmdb").stat().st_mode & 0o077 == 0
