"""What Tab completes: commands, options, and the addresses of stores."""

from __future__ import annotations

from click.shell_completion import ShellComplete
from provtel_cli.main import provtel


def completed(*words: str) -> list[str]:
    """Return what Tab offers for the last word, and what it leaves to the shell."""
    found = ShellComplete(provtel, {}, "provtel", "_PROVTEL_COMPLETE").get_completions([*words[:-1]], words[-1])
    return [item.value if item.type == "plain" else item.type for item in found]


def test_what_tab_completes() -> None:
    """Commands and options by their beginnings; stores by schemes that something installed reads, else as files."""
    assert completed("cop") == ["copy"]
    assert {"--since", "--store"} <= {*completed("watch", "--s")}
    assert completed("copy", "lm") == ["lmdb://", "file"]
    assert completed("copy", ".provtel", "") == ["file"]
    assert completed("tasks", "--store", "fi") == ["file://", "file"]
    assert completed("ingest", "--signal", "me") == ["metrics"]
    assert completed("ingest", "x") == ["file"]
