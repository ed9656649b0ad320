"""The pages that a reader finds: decisions, links, fragments of the changelog."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.project import OTHER_FOLDERS, ROOMS, ROOT, pyproject

DECISIONS = ROOT / "docs" / "adr"
COMPONENTS = ROOT / "docs" / "reference" / "components"
FOLDERS = (*ROOMS, *OTHER_FOLDERS, "changelog.d")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(?:#[^)]*)?\)")


def test_index_lists_every_decision() -> None:
    """The index has each decision once, in order, with the title of its page and a sentence."""
    rows = re.findall(r"^\| \[(.+)\]\((.+)\) \| (\S.*\.) \|$", (DECISIONS / "README.md").read_text(), re.MULTILINE)
    pages = sorted(page for page in DECISIONS.glob("*.md") if page.name != "README.md")

    assert [(title, name) for title, name, _ in rows] == [(title_of(page), page.name) for page in pages]


def links_of(page: Path) -> set[Path]:
    """Return the files that a page links."""
    return {(page.parent / target).resolve() for target in LINK.findall(page.read_text())}


def test_index_leads_to_every_page() -> None:
    """The first page of the documentation links every other page, or the index that does."""
    first = ROOT / "docs" / "index.md"
    linked = links_of(first)
    for index in (DECISIONS / "README.md", COMPONENTS / "README.md"):
        assert index in linked
        linked |= links_of(index)

    assert set((ROOT / "docs").rglob("*.md")) - {first} <= linked


def test_decisions_are_numbered_without_gaps() -> None:
    """Decisions are NNN-slug.md, from 001 on."""
    names = sorted(page.name for page in DECISIONS.glob("[0-9]*.md"))

    assert [int(name[:3]) for name in names] == list(range(1, len(names) + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of ours leads to one that exists."""
    assert [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()] == []


def test_fragments_have_a_known_type() -> None:
    """Each fragment of the changelog is named so that towncrier takes it up."""
    types = [kind["directory"] for kind in pyproject()["tool"]["towncrier"]["type"]]
    fragments = [page.name for page in (ROOT / "changelog.d").glob("*.md") if page.name != "README.md"]

    assert fragments
    assert [name for name in fragments if name.split(".")[-2] not in types] == []


def title_of(page: Path) -> str:
    """Return the title that a page begins with."""
    return page.read_text().split("\n", 1)[0].removeprefix("# ")
