"""Where the servers that speak MongoDB's protocol come from: one that is given, ``mongod``, or the registries."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.services.found import Found, MissingServiceError, cache_folder

GIVEN = "PROVTEL_TEST_MONGODB"
RECIPES = Path(__file__).parent
DOWNLOAD_SECONDS = 300
FERRETDB = "github.com/FerretDB/FerretDB"
_FERRETDB_SOURCES = ("go.mod", "go.sum", "main.go")


def find_given() -> Found:
    """Return the server whose address the environment gives, else ``mongod`` on PATH: MongoDB itself.

    Raises:
        MissingServiceError: There is neither.
    """
    if os.environ.get(GIVEN):
        return Found("mongodb", Path(GIVEN), f"at the address in {GIVEN}")
    if on_path := shutil.which("mongod"):
        return Found("mongodb", Path(on_path), "on PATH")
    raise MissingServiceError(f"no address in {GIVEN} and no mongod on PATH: give either")


def find_any() -> Found:
    """Return MongoDB itself, else a server in Java that speaks its protocol, over H2, from Maven's registry.

    Raises:
        MissingServiceError: There is none, and nothing to get one with.
    """
    try:
        return find_given()
    except MissingServiceError:
        return _mongo_java_server()


def find_durable() -> Found:
    """Return ``mongod`` on PATH, else FerretDB over SQLite, built with ``go``: what is killed by the tests.

    Raises:
        MissingServiceError: There is none, and nothing to build one with.
    """
    if on_path := shutil.which("mongod"):
        return Found("mongodb", Path(on_path), "on PATH")
    return find_ferretdb()


def find_ferretdb() -> Found:
    """Return FerretDB, which speaks TLS and knows users, built now or before.

    Raises:
        MissingServiceError: There is nothing to build it with.
    """
    recipe = RECIPES / "ferretdb"
    binary = cache_folder() / f"ferretdb-{_hash_of(recipe, *_FERRETDB_SOURCES)}"
    if binary.exists():
        return Found("ferretdb", binary, "built before from tests/services/mongodb/ferretdb")
    if not shutil.which("go"):
        raise MissingServiceError("no go to build FerretDB with: install it")
    _build_ferretdb(recipe, binary)
    return Found("ferretdb", binary, "built from tests/services/mongodb/ferretdb")


def _hash_of(recipe: Path, *names: str) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update((recipe / name).read_bytes())
    return digest.hexdigest()[:16]


def _build_ferretdb(recipe: Path, binary: Path) -> None:
    """Build the program from copies of its modules: only there can the file be that says its version."""
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as name:
        folder = Path(name)
        for source in _FERRETDB_SOURCES:
            shutil.copy(recipe / source, folder)
        _go(folder, "mod", "vendor")
        module = folder / "vendor" / FERRETDB
        (module / "build" / "version" / "version.txt").write_text("v1.24.0\n")
        build = ["build", "-mod=vendor", "-trimpath", "-ldflags", "-s -w", "-o", "fresh", f"{FERRETDB}/cmd/ferretdb"]
        _go(folder, *build)
        (folder / "fresh").replace(binary)  # in one step, because two test runs may build at once


def _go(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["go", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingServiceError(f"FerretDB cannot be built: go {' '.join(arguments)} says:\n{done.stderr[-2000:]}")


def _mongo_java_server() -> Found:
    recipe = RECIPES / "h2"
    libraries = cache_folder() / f"mongo-java-server-{_hash_of(recipe, 'pom.xml')}"
    how = "brought before by tests/services/mongodb/h2"
    if not shutil.which("java"):
        raise MissingServiceError("no java on PATH, which mongo-java-server runs on: install one, version 17 or newer")
    if not libraries.exists():
        if not shutil.which("mvn"):
            raise MissingServiceError("no mongod on PATH and no mvn to get mongo-java-server with: install either")
        how = "brought from Maven's registry by tests/services/mongodb/h2"
        _download(recipe / "pom.xml", libraries)
    return Found("mongo-java-server", libraries, how)


def _download(recipe: Path, libraries: Path) -> None:
    libraries.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=libraries.parent) as folder:
        fresh = Path(folder) / "libs"
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={fresh}"]
        command = ["mvn", "--quiet", "--batch-mode", "--file", str(recipe), *goal]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise MissingServiceError(f"{' '.join(command)} did not end within {DOWNLOAD_SECONDS} s") from None
        if done.returncode:
            raise MissingServiceError(f"{' '.join(command)} says:\n{done.stdout[-2000:]}{done.stderr[-500:]}")
        try:
            fresh.replace(libraries)
        except OSError:
            if not libraries.exists():
                raise
