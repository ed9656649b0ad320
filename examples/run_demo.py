"""The demo: a workflow that ships to a collector while it runs, then questions about it.

It runs `digits_sweep.py` beside a collector of its own, and then asks, with the `provtel` command, what happened.
Whatever it writes is in the folder `demo_output`, which is made anew each time.

    make demo
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import provtel
from provtel_query.picture import draw

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "demo_output"
STORE = OUTPUT / ".provtel"
LOG = OUTPUT / "collector.log"
PROVTEL = Path(sys.executable).with_name("provtel")
SECONDS = 60


def main() -> None:
    """Run the demo."""
    began = time.monotonic()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    with collector() as endpoint:
        say(f"a collector listens at {endpoint}; it keeps what comes in the store {short(STORE)}")
        say("the sweep runs, and ships each of its steps to the collector")
        run_sweep(endpoint)
        wait(everything_is_acknowledged, "acknowledgement of everything")
        seconds = time.monotonic() - began
        say(f"{seconds:.0f} s after the start the collector has acknowledged everything; it is stopped")
    ask()


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"==> {text}", flush=True)


def short(path: Path) -> str:
    """Return a path as it can be typed here."""
    return os.path.relpath(path)


@contextmanager
def collector() -> Iterator[str]:
    """Run a collector in a process of its own, and give the address that it takes OTLP at."""
    otlp, health = (f"127.0.0.1:{port}" for port in free_ports(2))
    environment = bare_environment() | {
        "PROVTEL_STORE": str(STORE),
        "PROVTEL_COLLECTOR_ENDPOINT": otlp,
        "PROVTEL_COLLECTOR_HEALTH_ENDPOINT": health,
    }
    with LOG.open("wb") as log:
        command = [str(PROVTEL), "collector", "--config", "preset:embedded"]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait(lambda: is_healthy(process, health), "a healthy collector")
        yield f"http://{otlp}"
    finally:
        process.terminate()  # it keeps what it has taken before it ends
        process.wait(SECONDS)


def bare_environment() -> dict[str, str]:
    """Return the environment without settings of other runs."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PROVTEL_", "OTEL_"))}


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def is_healthy(process: subprocess.Popen[bytes], address: str) -> bool:
    """Say whether the collector answers that all is well."""
    if process.poll() is not None:
        sys.exit(f"the collector ended; its log is {short(LOG)}:\n{LOG.read_text()}")
    try:
        with urllib.request.urlopen(f"http://{address}/", timeout=1):
            return True
    except OSError:
        return False


def run_sweep(endpoint: str) -> None:
    """Run the workflow; that it ships to the collector is said by OpenTelemetry's own variable."""
    environment = bare_environment() | {"PROVTEL_STORE": str(STORE), "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    script = ROOT / "examples" / "digits_sweep.py"
    done = subprocess.run([sys.executable, script, "--output", OUTPUT], env=environment, check=False)
    if done.returncode:
        sys.exit(f"the sweep failed with {done.returncode}")


def everything_is_acknowledged() -> bool:
    """Say whether no journal is left: each is removed when the collector has acknowledged all of it."""
    return not any((STORE / "journal").glob("*"))


def wait(ready: Callable[[], bool], what: str) -> None:
    """Wait until something is ready, or give up."""
    end = time.monotonic() + SECONDS
    while not ready():
        if time.monotonic() > end:
            sys.exit(f"waited {SECONDS} s in vain for {what}; the collector's log is {short(LOG)}")
        time.sleep(0.05)


def ask() -> None:
    """Ask what happened, by commands that can be typed as they are printed."""
    with provtel.connect(STORE) as store:
        (examined,) = store.tasks({"name": "examine"})
        (failed,) = store.tasks({"status": "error"})
        draw(store.lineage(OUTPUT / "report.md"), OUTPUT / "sweep.svg", "lineage of the report")
    best = short(Path(examined.used["model"]))

    section("every step of the sweep")
    type_in("tasks", "--sort", "started_at", "--limit", "0")
    section("where the best model came from, down to the data set")
    type_in("lineage", best, "--picture", short(OUTPUT / "best-model.svg"))
    section("the trial that failed, and why")
    type_in("show", failed.id)
    section("the run as a W3C PROV document")
    type_in("export", "--output", short(OUTPUT / "sweep.prov.json"))
    section("what is there now")
    print(f"""
{short(OUTPUT / "report.md"):30}  what the sweep found
{short(OUTPUT / "sweep.prov.json"):30}  the run as PROV-JSON
{short(OUTPUT / "best-model.svg"):30}  the lineage of the best model as a picture
{short(OUTPUT / "sweep.svg"):30}  the lineage of the report, which is the whole sweep""")
    section("what to try next")
    print(f"""
{typed("workflows")}
{typed("tasks", "--where", "name=train", "--sort", "-duration", "--limit", "5")}
{typed("tasks", "--where", "generated.score.accuracy>0.97")}
{typed("show", examined.id)}
{typed("lineage", best, "--down")}
{typed("lineage", short(OUTPUT / "report.md"))}""")


def section(title: str) -> None:
    """Print the title of what follows."""
    print(f"\n==> {title}", flush=True)


def typed(*arguments: str) -> str:
    """Return a command as it is typed."""
    program = "provtel" if shutil.which("provtel") else short(PROVTEL)
    return shlex.join([program, *arguments, "--store", short(STORE)])


def type_in(*arguments: str) -> None:
    """Run a command, and show what was typed."""
    print(f"\n$ {typed(*arguments)}\n", flush=True)
    subprocess.run([PROVTEL, *arguments, "--store", STORE], env=bare_environment(), check=True)


if __name__ == "__main__":
    main()
