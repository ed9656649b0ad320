"""Slurm runs the scripts: what jobs record arrives, also where they are killed; a job can bring its own collector."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from provtel_cli.main import main
from provtel_exporters.lmdb import open_reader
from provtel_model.filters import Query

from tests.collector.running import STOP_SECONDS, Collector, provtel, running
from tests.house.project import ROOT
from tests.services.slurm import cluster

SCRIPTS = ROOT / "deployment" / "slurm"
COMMAND = Path(sys.executable).with_name("provtel")
WORK = """
import os, sys, time
from provtel import task

@task
def double(number):
    return 2 * number

@task
def linger():
    open("lingers", "w").close()
    time.sleep(600)

double(int(os.environ.get("SLURM_PROCID", 0)))
if "linger" in sys.argv:
    linger()
"""


def test_job_configuration_is_shared(otelcol_binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The OpenTelemetry Collector takes the file of a job's collector, as it says, and so does ours."""
    monkeypatch.setenv("PROVTEL_COLLECTOR_ENDPOINT", "localhost:0")
    monkeypatch.setenv("PROVTEL_JOB_FOLDER", str(tmp_path))
    file = str(SCRIPTS / "job.yaml")

    theirs = subprocess.run([otelcol_binary, "validate", "--config", file], capture_output=True, check=False)

    assert (theirs.returncode, main(["collector", "validate", "--config", file])) == (0, 0)


def test_scripts_are_clean() -> None:
    """ShellCheck has nothing to say."""
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, *SCRIPTS.glob("*.sh")], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Run a collector that keeps what it is sent."""
    environment = {
        "PROVTEL_COLLECTOR_ENDPOINT": "127.0.0.1:0",
        "PROVTEL_COLLECTOR_HEALTH_ENDPOINT": "127.0.0.1:0",
        "PROVTEL_STORE": str(tmp_path / "store"),
    }
    quiet = ("--set", "service.telemetry.metrics.level=none")
    with running(provtel("collector", "--config", "preset:embedded", *quiet), tmp_path, **environment) as process:
        yield process


def installed(folder: Path, endpoint: str) -> Path:
    """Return a folder with the scripts as an administrator has installed and set them."""
    settings, scripts = folder / "slurm.env", folder / "scripts"
    settings.write_text(
        f"PROVTEL_SLURM_ENDPOINT={endpoint}\nPROVTEL_SLURM_STATE={folder / 'state'}\nPROVTEL_SLURM_COMMAND={COMMAND}\n"
    )
    scripts.mkdir()
    for script in SCRIPTS.glob("*.sh"):
        text = script.read_text().replace("/etc/provtel/slurm.env", str(settings))
        (scripts / script.name).write_text(text)
        (scripts / script.name).chmod(0o755)
    return scripts


def wait_for(done: Callable[[], bool], what: str) -> None:
    """Return when something holds."""
    deadline = time.monotonic() + STOP_SECONDS
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def node_state(slurm: cluster.Cluster, folder: Path) -> str:
    """Return what Slurm thinks of the node."""
    said = slurm.run("sinfo", "--noheader", "--format=%T", cwd=folder)
    return said.stdout.strip() or said.stderr


def states(folder: Path) -> dict[str, str]:
    """Return the state of each task in a store, by its name."""
    if not (folder / "store" / "lmdb").exists():
        return {}
    with closing(open_reader(str(folder / "store"))) as reader:
        return {record.name: str(record.status) for record in reader.find(Query())}


@pytest.mark.usefixtures("slurm")
def test_killed_job_is_known(collector: Collector, tmp_path: Path) -> None:
    """What a killed job's task finished arrives, and so does what was lost with it; nothing stays behind."""
    scripts = installed(tmp_path, collector.addresses["otlp"])
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / "job.sh").write_text(f"#!/bin/bash\nexec {sys.executable} work.py linger\n")

    with cluster.running(tmp_path / "slurm", scripts) as slurm:
        submitted = slurm.run("sbatch", "--parsable", "job.sh", cwd=tmp_path)
        job = submitted.stdout.strip()
        assert job.isdigit(), submitted.stderr
        wait_for((tmp_path / "lingers").exists, "the job's task")
        assert (tmp_path / "state" / str(os.getuid()) / job).is_dir()
        slurm.run("scancel", "--signal=KILL", "--full", job, cwd=tmp_path)
        wait_for(lambda: states(tmp_path).get("linger") == "lost", f"the lost task: {states(tmp_path)}")
        wait_for(lambda: not any((tmp_path / "state" / str(os.getuid())).iterdir()), "an empty folder")
        wait_for(lambda: node_state(slurm, tmp_path) == "idle", "the node")

    assert states(tmp_path)["double"] == "finished"


@pytest.mark.usefixtures("slurm")
def test_running_job_is_left_alone(collector: Collector, tmp_path: Path) -> None:
    """The end of one job takes nothing from another one of the same user that still runs; its own end does."""
    scripts = installed(tmp_path, collector.addresses["otlp"])
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / "job.sh").write_text(f"#!/bin/bash\nexec {sys.executable} work.py linger\n")
    state = tmp_path / "state" / str(os.getuid())

    with cluster.running(tmp_path / "slurm", scripts) as slurm:
        job = slurm.run("sbatch", "--mem=100", "--parsable", "job.sh", cwd=tmp_path).stdout.strip()
        wait_for((tmp_path / "lingers").exists, "the job's task")
        assert slurm.run("srun", "--mem=100", sys.executable, "work.py", cwd=tmp_path).returncode == 0
        wait_for(lambda: {one.name for one in state.iterdir()} == {job}, "the end of the other job")
        assert any((state / job).rglob("*.seg"))
        slurm.run("scancel", "--signal=KILL", "--full", job, cwd=tmp_path)
        wait_for(lambda: states(tmp_path).get("linger") == "lost", f"the lost task: {states(tmp_path)}")


@pytest.mark.usefixtures("slurm")
def test_unreachable_collector_leaves_the_node_alone(tmp_path: Path) -> None:
    """Where nobody takes the records they stay on the node, and the node stays as it is."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    scripts, state = installed(tmp_path, nobody), tmp_path / "state" / str(os.getuid())
    (tmp_path / "work.py").write_text(WORK)

    with cluster.running(tmp_path / "slurm", scripts) as slurm:
        assert slurm.run("srun", sys.executable, "work.py", cwd=tmp_path).returncode == 0
        (left,) = state.iterdir()
        assert any(left.rglob("*"))
        time.sleep(7)  # as long as the epilog tries, and a little longer
        assert any(left.rglob("*.seg"))
        wait_for(lambda: node_state(slurm, tmp_path) in {"idle", "completing"}, "the node")


@pytest.mark.usefixtures("slurm")
def test_job_brings_its_own_collector(tmp_path: Path) -> None:
    """What every task of a job records is in the file that the job's own collector wrote when the job has ended."""
    (tmp_path / "work.py").write_text(WORK)
    for name in ("job.sh", "job.yaml"):
        (tmp_path / name).write_text((SCRIPTS / name).read_text())
    path = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"

    with cluster.running(tmp_path / "slurm", SCRIPTS) as slurm:
        done = slurm.run("sbatch", "--wait", "--parsable", "job.sh", sys.executable, "work.py", cwd=tmp_path, PATH=path)
        job = done.stdout.strip()
        assert done.returncode == 0, [one.read_text() for one in tmp_path.glob("slurm-*.out")]

    folder = tmp_path / f"run-{job}"
    assert "stopped:" in (folder / "collector.log").read_text()
    lines = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    ids = re.findall(r'"name": ?"double"', json.dumps(lines))
    assert len(ids) == 2
