"""The documentation's code: what a page tells a reader to run, runs, and prints what the page says that it prints.

Each page gets an empty folder, in which its blocks are run from the first to the last, as a reader would:

- a ``python`` block is run as a script; one with a file name behind ``python`` is saved under it, for later blocks, and
  so is a ``toml`` or ``yaml`` block with a file name;
- a ``console`` block is typed, each line that begins with ``$``; the lines below are what it prints, whatever its ids
  and times are, and ``...`` stands for anything. A command whose output is not shown must only succeed.

Other blocks are for reading.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.house.project import ROOT
from tests.services.mongodb.server import Mongodb

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(?:(python|console)|(?:toml|yaml)(?= ))(?: +(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TESTED_OVER_A_STORE = {ROOT / "docs" / "how-to" / "ask-questions.md"}  # by tests/cli/test_pages.py
OVER_MONGODB = ROOT / "docs" / "how-to" / "keep-records-in-mongodb.md"
MONGODB = "mongodb://localhost:27017/provtel"
CHANGING = {
    r"\b[0-9a-f]{8}\b|\b[0-9a-f]{32}-[0-9a-f]{16}\b": "ID",
    r"(\d{4}-\d\d-\d\d.)?\b\d\d:\d\d:\d\d\b": "TIME",
    r"\b[\d.]+ (ns|us|ms|s)\b": "DURATION",
    "─+": "─",
}
SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SECONDS = 180


@dataclass(frozen=True)
class Block:
    """A block of code on a page.

    Attributes:
        language: ``python`` or ``console``, or empty for what is only saved.
        name: The file that it is saved as, or empty.
        text: The code.
    """

    language: str
    name: str
    text: str

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield each command of a console block with the output that the page shows below it."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    return [Block(*found.groups(default="")) for found in BLOCK.finditer(page.read_text())]


def lasting(output: str) -> str:
    """Return an output without what differs from run to run."""
    for pattern, word in CHANGING.items():
        output = re.sub(pattern, word, output)
    return output


WITH_CODE = [page for page in PAGES if blocks_of(page) and page not in {*TESTED_OVER_A_STORE, OVER_MONGODB}]


@dataclass(frozen=True)
class Reader:
    """Somebody who follows a page in an empty folder.

    Attributes:
        folder: Where they work; `examples` is there, as in the checkout.
    """

    folder: Path

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        if block.name:
            file = self.folder / block.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
        elif block.language == "python":
            (self.folder / "block.py").write_text(block.text)
            self.type("python block.py")
        else:
            for command, output in block.commands():
                self.compare(command, output)

    def compare(self, command: str, output: str) -> None:
        """Type a command, and compare what it prints with what the page shows."""
        printed = self.type(command)
        if output.strip() and not doctest.OutputChecker().check_output(lasting(output), lasting(printed), SAME):
            pytest.fail(f"$ {command}\nThe page shows:\n{output}\nThe command prints:\n{printed}", pytrace=False)

    def type(self, command: str) -> str:
        """Return what a command prints, and fail where it fails."""
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def environment(self) -> dict[str, str]:
        """Return an environment without settings of ours, in which the programs of this Python come first."""
        foreign = ("PROVTEL", "OTEL")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
        return {**kept, "PATH": path, "XDG_STATE_HOME": str(self.folder / ".state"), "COLUMNS": "120"}


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_can_be_followed(page: Path, tmp_path: Path) -> None:
    """Each block of a page runs, in order, in one empty folder, and prints what the page shows."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")

    for block in blocks_of(page):
        Reader(tmp_path).follow(block)


def test_page_about_mongodb_can_be_followed(mongodb: Mongodb, tmp_path: Path) -> None:
    """Each block of the page about MongoDB runs against the server of the tests, as if it were where the page says."""
    address = mongodb.new_database()

    for block in blocks_of(OVER_MONGODB):
        Reader(tmp_path).follow(replace(block, text=block.text.replace(MONGODB, address)))


def test_readme_shows_the_quickstart() -> None:
    """The quickstart in the README is the example, letter by letter."""
    (shown,) = (block.text for block in blocks_of(ROOT / "README.md") if block.name == "quickstart.py")

    assert (ROOT / "examples" / "quickstart.py").read_text() == shown
