"""The reference page of the capture's settings, from their table."""

from __future__ import annotations

from provtel.settings import TABLE, Setting

PAGE = "reference/settings.md"

_INTRODUCTION = """\
# Settings of the capture

What a program that records can be told: by `provtel.configure(max_items=100)` in the program, before it records
anything; else by a variable of the environment; else by a key in a file. The file is the nearest one from the working
folder upward that is a `provtel.toml`, where a key has no section around it, or a `pyproject.toml` with a table
`[tool.provtel]`; one that belongs to another user is passed over. What makes no sense in the environment or in a file
is ignored, and one line on the standard error says what, where, and which name was probably meant.

`PROVTEL_STORE` names the store folder; as readers have to find it too, it is a variable only. `PROVTEL_PURE_PYTHON=1`
leaves the compiled modules of an installation aside: the same runs in Python, and slower. `PROVTEL_FILE_SYSTEMS` says
of folders whether their disk is another machine's, where provtel maps no file into memory, for the few whose kind of
file system does not tell: `/scratch=network:/fast=local`. `PROVTEL_CACHE` names the folder for indexes of stores on
such disks, and must not be on one; by default they lie in the cache folder of the user, or in that for temporary files.

| variable | key | default | meaning |
|---|---|---|---|
"""


def render() -> str:
    """Return the page."""
    return _INTRODUCTION + "".join(map(_row, TABLE))


def _row(setting: Setting) -> str:
    also = f", else `{setting.also}`" if setting.also else ""
    default = setting.default.replace("|", "\\|")
    return f"| `{setting.variable}`{also} | `{setting.name}` | `{default}` | {setting.meaning} |\n"
