"""Which version of which code runs: what the git repository around it says, read from its files.

No program is run and nothing is written. What cannot be told in a few milliseconds is left out.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FOLDER: Final = ".git"
_POINTER: Final = "gitdir:"
_SYMBOLIC: Final = "ref:"
_BRANCHES: Final = "refs/heads/"
_REVISION: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SECTION: Final = re.compile(r"\[\s*([\w.-]+)\s*(?:\"((?:[^\"\\]|\\.)*)\")?\s*\]")
_ENTRY: Final = re.compile(r"\s*([\w-]+)\s*=\s*\"?([^\"#;]*)\"?")
_USER: Final = re.compile(r"(?<=://)[^/\s]*@")
_PASSWORD: Final = re.compile(r"(?<=://)([^/\s:@]*):[^/\s]*@")
_LONGEST_FILE: Final = 10 * 2**20
_LONGEST_CHAIN: Final = 5


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository.

    Args:
        work_tree: Its folder of files.
        folder: What is of this work tree alone: ``HEAD`` and the index.
        common: What all its work trees share: objects, branches, settings.
    """

    work_tree: Path
    folder: Path
    common: Path

    def head(self) -> tuple[str | None, str | None]:
        """Return the branch, where one is checked out, and the id of the commit, where there is one yet."""
        text = _text(self.folder / "HEAD")
        name = text.removeprefix(_SYMBOLIC).strip() if text.startswith(_SYMBOLIC) else ""
        branch = name.removeprefix(_BRANCHES) if name.startswith(_BRANCHES) else None
        for _ in range(_LONGEST_CHAIN):
            if not text.startswith(_SYMBOLIC):
                break
            text = self._reference(text.removeprefix(_SYMBOLIC).strip())
        revision = text.strip()
        return branch, revision if _REVISION.fullmatch(revision) else None

    def _reference(self, name: str) -> str:
        if ".." in name:
            return ""
        return _text(self.folder / name) or _text(self.common / name) or self._packed(name)

    def _packed(self, name: str) -> str:
        found = re.search(rf"^([0-9a-f]+) {re.escape(name)}$", _text(self.common / "packed-refs"), re.MULTILINE)
        return found[1] if found else ""

    def settings(self) -> dict[tuple[str, str, str], str]:
        """Return what its configuration says, by section, subsection and name; the first of several values."""
        found: dict[tuple[str, str, str], str] = {}
        section = subsection = ""
        for line in _text(self.common / "config").splitlines():
            begins = _SECTION.match(line.strip())
            if begins:
                section, subsection = begins[1].lower(), begins[2] or ""
            elif entry := _ENTRY.match(line):
                found.setdefault((section, subsection, entry[1].lower()), entry[2].strip())
        return found

    def address(self, branch: str | None) -> str | None:
        """Return where it was cloned from, without user and password: of the branch's remote, else of ``origin``."""
        settings = self.settings()
        addresses = {remote: value for (section, remote, name), value in settings.items() if (section, name) == _REMOTE}
        wanted = (settings.get(("branch", branch or "", "remote"), ""), "origin", *addresses)
        found = next((addresses[remote] for remote in wanted if remote in addresses), None)
        return without_user(found) if found else None


_REMOTE: Final = ("remote", "url")


def without_user(address: str) -> str:
    """Return the address of a repository without credentials; a user alone is one but where ssh wants to know it."""
    return _PASSWORD.sub(r"\1@", address) if address.startswith("ssh") else _USER.sub("", address)


def find_repository() -> Repository | None:
    """Return the repository that the program's main file lies in, else that of the working folder.

    A command that was installed beside Python runs code of others: for it the working folder alone counts.
    """
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    starts = [Path(main).absolute().parent] if type(main) is str else []
    if sys.executable and starts == [Path(sys.executable).parent]:
        starts = []
    with contextlib.suppress(OSError):
        starts.append(Path.cwd())
    found = (_around(start) for start in starts)
    return next((repository for repository in found if repository is not None), None)


def _around(start: Path) -> Repository | None:
    for folder in (start, *start.parents):
        candidate = folder / _FOLDER
        with contextlib.suppress(OSError):
            if candidate.is_dir():
                return Repository(folder, candidate, candidate)
            if candidate.is_file():
                return _linked(folder, candidate)
    return None


def _linked(work_tree: Path, pointer: Path) -> Repository | None:
    """Return the repository of a linked work tree or a submodule, whose ``.git`` is a file that says where it is."""
    text = _text(pointer)
    if not text.startswith(_POINTER):
        return None
    folder = work_tree / text.removeprefix(_POINTER).strip()
    shared = _text(folder / "commondir").strip()
    return Repository(work_tree, folder, folder / shared if shared else folder)


def _text(file: Path) -> str:
    """Return what a file says; nothing where it cannot be read or is beyond measure."""
    with contextlib.suppress(OSError):
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as opened:
            return opened.read(_LONGEST_FILE)
    return ""
