"""What a sample costs: CPU of the sampler's thread, in a program that does nothing else.

``python -m benchmarks.capture.sampling`` measures by the settings of its environment and prints a JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.capture.surroundings import ROOT

_GROUPS = {
    "process": "process",
    "machine": "cpu,memory,disk,network",
    "every group": "process,cpu,per_cpu,memory,disk,network,gpu",
}
_PERIOD = 0.1
_SECONDS = 2.0


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return what a sample of some groups costs, the median of the rounds."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in _GROUPS}
    for _ in range(rounds):
        for name, groups in _GROUPS.items():
            with tempfile.TemporaryDirectory() as folder:
                own = {"PROVTEL_STORE": folder, "XDG_STATE_HOME": folder, "PROVTEL_SAMPLER": f"{_PERIOD * 1000:.0f}ms"}
                inherited = {
                    key: value for key, value in os.environ.items() if not key.startswith(("PROVTEL_", "OTEL_"))
                }
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.capture.sampling"],
                    cwd=ROOT,
                    env=inherited | own | {"PROVTEL_SAMPLER_GROUPS": groups},
                    capture_output=True,
                    text=True,
                    check=True,
                )
            taken[name].append(json.loads(done.stdout))
    return {name: {key: statistics.median(one[key] for one in many) for key in many[0]} for name, many in taken.items()}


def _run() -> dict[str, float]:
    import provtel
    from provtel.recording import recorder

    provtel.task(lambda: None)()
    current = recorder()
    writer = current._writer if current is not None else None  # noqa: SLF001  # nothing public counts frames
    assert writer is not None
    while writer.appended < 4:  # noqa: PLR2004  # start, end, and two samples, of which the first loads modules
        time.sleep(_PERIOD)
    before, appended, size = _spent(), writer.appended, _size(writer.folder)
    time.sleep(_SECONDS)
    spent, samples, grown = _spent() - before, writer.appended - appended, _size(writer.folder) - size
    cpu = spent / samples * 1e6
    return {"cpu_us": cpu, "bytes": grown / samples, "percent": cpu / 1e6 * 100}


def _spent() -> float:
    """Return the seconds of CPU of the sampler's thread."""
    thread = next(one for one in threading.enumerate() if one.name == "provtel-sampler")
    text = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text()
    return int(text.split()[0]) / 1e9


def _size(folder: Path) -> int:
    return sum(len(path.read_bytes().rstrip(b"\0")) for path in folder.glob("*.seg"))


if __name__ == "__main__":
    print(json.dumps(_run()))
