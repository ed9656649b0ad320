"""`provtel export --format ro-crate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.conftest import fill
from tests.query.activities import quickstart

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Ask


def test_a_crate(folder: Path, ask: Ask) -> None:
    """The crate is a folder; without a name for it, or with its option on another format, the call is wrong."""
    fill(folder / ".provtel", quickstart())

    (told,) = ask("export", "--format", "ro-crate", "-o", "crate", "--json").objects
    assert (told["output"], told["files"], told["changed"]) == ("crate", 0, [])
    assert (folder / "crate" / "ro-crate-metadata.json").exists()
    assert ask("export", "--format", "ro-crate", "-o", "crate").code == 1
    assert ask("export", "--format", "ro-crate").code == 2
    assert ask("export", "--copy-files").code == 2
