"""A store on a mounted disk that is said to be another machine's: programs record there, and several nodes read."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from provtel_model.file_systems import VARIABLE as FILE_SYSTEMS
from provtel_query import connect

from tests.instrumentation.programs import TIMEOUT, Stage

_MOUNT = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
_WORK = """
import os, signal, sys
from provtel import task, workflow

with workflow("sweep"):
    for number in range(5):
        with task("step", used={"number": number}):
            pass
    with task("last", used={"number": 5}):
        os.kill(os.getpid(), signal.SIGKILL)
"""
_ASK = """
import json, provtel

with provtel.connect() as store:
    found = sorted((record.used["number"], record.status.value) for record in store.tasks())
    mapped = [line for line in open("/proc/self/maps") if "far" in line]
    print(json.dumps([found, mapped]))
"""


@dataclass
class _Mounted:
    """A disk that is mounted for each program, and whose programs run on nodes with disks of their own."""

    folder: Path
    prefix: list[str]

    def run(self, node: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program on a node."""
        variables = Stage(self.folder).variables() | {
            "PROVTEL_STORE": str(self.folder / "far" / "store"),
            FILE_SYSTEMS: f"{self.folder / 'far'}=network",
            "XDG_CACHE_HOME": str(self.folder / node),
        }
        places = [str(self.folder / name) for name in ("disk", "far")]
        return subprocess.run(
            [*self.prefix, "sh", "-c", _MOUNT, "sh", *places, sys.executable, *command],
            check=False,
            cwd=self.folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )

    def ask(self, node: str) -> Any:
        """Ask on a node for what there is."""
        done = self.run(node, "-c", _ASK)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def mounted(tmp_path: Path, mount_namespace: list[str]) -> _Mounted:
    """Give a disk that is seen elsewhere only by programs that mount it."""
    for name in ("disk", "far"):
        (tmp_path / name).mkdir()
    (tmp_path / "work.py").write_text(_WORK)
    return _Mounted(tmp_path, mount_namespace)


def test_nodes_record_and_read_on_a_mounted_disk(mounted: _Mounted, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed program recorded on a mounted disk is read on every node, and nothing of that disk is mapped."""
    recorded = mounted.run("first", "-m", "provtel_cli.main", "run", "--", sys.executable, "work.py")
    expected = [*([number, "finished"] for number in range(5)), [5, "lost"]]

    assert recorded.returncode == -signal.SIGKILL, recorded.stderr
    assert not list((mounted.folder / "far").iterdir())
    store = mounted.folder / "disk" / "store"
    assert {path.name for path in store.iterdir()} >= {"segments"}
    assert not (store / "lmdb").exists()
    for node in ("first", "second"):
        assert mounted.ask(node) == [expected, []]

    # Where the disk is at home nothing is said of it, and the store is what it is.
    monkeypatch.setenv("PROVTEL_CACHE", str(mounted.folder / "home"))
    with connect(store, drain=False) as at_home:
        assert at_home.count({"kind": "task"}) == len(expected)
