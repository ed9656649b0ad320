"""Validates crates by roc-validator without a network: the JSON-LD contexts come from a folder.

Runs in the environment of its own that `tests.services.rocrate` makes: ``python validate.py PROFILE CONTEXTS CRATE…``.
Prints as JSON a list for each crate, of its issues, each with its check and its message.
"""

from __future__ import annotations

import json
import sys
from email.message import Message
from pathlib import Path
from urllib.request import Request
from urllib.response import addinfourl

import rdflib.parser
from rocrate_validator import models, services

UNREACHABLE = ["ro-crate-1.1_3.1", "ro-crate-1.1_3.2"]
"""Checks that ask whether addresses on the web can be reached."""


def main(profile: str, contexts: Path, crates: list[str]) -> None:
    """Validate crates against a profile."""
    known = {
        "https://w3id.org/ro/crate/1.1/context": contexts / "ro-crate-1.1-context.jsonld",
        "https://w3id.org/ro/crate/1.2/context": contexts / "ro-crate-1.2-context.jsonld",
        "https://w3id.org/ro/terms/workflow-run/context": contexts / "workflow-run-context.jsonld",
    }

    def from_folder(request: Request) -> addinfourl:
        headers = Message()
        headers["Content-Type"] = "application/ld+json"
        return addinfourl(known[request.full_url].open("rb"), headers, request.full_url, 200)

    rdflib.parser._urlopen = from_folder  # type: ignore[attr-defined]  # the validator replaces all that lies above it
    print(json.dumps([_issues(crate, profile) for crate in crates]))


def _issues(crate: str, profile: str) -> list[dict[str, str | None]]:
    settings = services.ValidationSettings(
        rocrate_uri=crate,
        profile_identifier=profile,
        requirement_severity=models.Severity.REQUIRED,
        skip_checks=UNREACHABLE,
    )
    found = services.validate(settings).get_issues()
    return [{"check": issue.check.identifier, "message": issue.message} for issue in found]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
