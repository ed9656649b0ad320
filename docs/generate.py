"""Write the reference pages that come from code: ``python -m docs.generate``, or ``--check`` them.

A module in `docs/generators` is one page: ``PAGE`` is its place under ``docs/``, ``render()`` returns its text. Or it
is several, and its ``pages()`` yields place and text of each.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docs import generators

DOCS = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Write every page, or with ``--check`` say which are out of date; return the exit code."""
    stale = [page for page, text in _pages() if not page.exists() or page.read_text() != text]
    if arguments == ["--check"]:
        for page in stale:
            print(f"{page.relative_to(DOCS.parent)} is out of date; run: make docs", file=sys.stderr)
        return 1 if stale else 0
    for page, text in _pages():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)
    return 0


def _pages() -> list[tuple[Path, str]]:
    names = sorted(module.name for module in pkgutil.iter_modules(generators.__path__))
    modules = [importlib.import_module(f"docs.generators.{name}") for name in names]
    return [(DOCS / page, text) for module in modules for page, text in _pages_of(module)]


def _pages_of(module: Any) -> Iterable[tuple[str, str]]:
    return module.pages() if hasattr(module, "pages") else [(module.PAGE, module.render())]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
