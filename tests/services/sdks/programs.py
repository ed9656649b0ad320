"""Programs that send by the OpenTelemetry SDKs of other languages, built here from their registries."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.services.found import Found, MissingServiceError, cache_folder

GO = Path(__file__).parent / "go"
JAVA = Path(__file__).parent / "java"
BUILD_SECONDS = 300
RUN_SECONDS = 60


@dataclass(frozen=True)
class Export:
    """What became of one export.

    Attributes:
        milliseconds: How long it took.
        taken: Whether the server took it, as the SDK sees it.
        told: What the SDK says of a refusal, where it says something.
    """

    milliseconds: int
    taken: bool
    told: str


def find_go() -> Found:
    """Return the program of the SDK for Go, built here unless it was before.

    Raises:
        MissingServiceError: There is no go, or it cannot be built.
    """
    return _built("go_sdk", GO, "go", _build_go)


def find_java() -> Found:
    """Return the folder of the SDK for Java, brought here unless it was before.

    Raises:
        MissingServiceError: There is no java or no mvn, or it cannot be had.
    """
    if shutil.which("java") is None:
        raise MissingServiceError("no java on PATH to run OpenTelemetry's SDK for Java: install one, 17 or newer")
    return _built("java_sdk", JAVA, "mvn", _build_java)


def send(program: Found, protocol: str, address: str, packing: str = "none", count: int = 1) -> list[Export]:
    """Send spans by a program, and return what became of each."""
    command: Sequence[str | Path] = [program.binary]
    if program.service == "java_sdk":
        quick = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command = ["java", *quick, "-cp", f"{program.binary}/libs/*:{program.binary}", "Send"]
    done = subprocess.run(
        [*command, protocol, address, packing, str(count)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^(\d+) (taken|refused)(.*)$", done.stdout, re.MULTILINE)
    return [Export(int(time), word == "taken", told.strip() + done.stderr) for time, word, told in lines]


def _built(name: str, recipe: Path, tool: str, build: Callable[[Path], None]) -> Found:
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(recipe.iterdir()))).hexdigest()[:16]
    target = cache_folder() / f"{name}-{digest}"
    if target.exists():
        return Found(name, target, f"built before from tests/services/sdks/{recipe.name}")
    if shutil.which(tool) is None:
        raise MissingServiceError(f"no {tool} on PATH to build OpenTelemetry's SDK with: install it")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fresh = Path(folder) / "fresh"
        build(fresh)
        try:
            fresh.replace(target)  # in one step, because two test runs may build at once
        except OSError:
            if not target.exists():
                raise
    return Found(name, target, f"built from tests/services/sdks/{recipe.name}")


def _build_go(target: Path) -> None:
    _run(["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(target), "."], GO)


def _build_java(target: Path) -> None:
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}/libs"]
    _run(["mvn", "--quiet", "--batch-mode", *goal], JAVA)
    _run(["javac", "-cp", f"{target}/libs/*", "-d", str(target), "Send.java"], JAVA)


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingServiceError(f"{' '.join(command)}: {error}") from None
    if done.returncode:
        raise MissingServiceError(f"{' '.join(command)} says:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
