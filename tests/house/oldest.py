"""Prints the oldest versions that pyproject.toml allows, as constraints for pip."""

from __future__ import annotations

import re
import tomllib

from tests.house.project import ROOT

TOOLS = "dev"
"""The extra whose packages only make and test the project; of it, only what users may have too counts."""
OF_USERS = ("opentelemetry-", "attrs", "pandas", "polars")


def oldest() -> list[str]:
    """Return a line for each package that is named with a lower bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {"": project["dependencies"], **project["optional-dependencies"]}
    found = set()
    for extra, requirements in named.items():
        for requirement in requirements:
            match = re.match(r"([\w.-]+)>=([\w.]+)", requirement)
            if match and (extra != TOOLS or match[1].startswith(OF_USERS)):
                found.add(f"{match[1]}=={match[2]}")
    return sorted(found)


if __name__ == "__main__":
    print(*oldest(), sep="\n")
