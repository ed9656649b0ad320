"""Which version of the code runs, where a git repository is around it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from provtel_model import attributes as names

from provtel.detectors.sources import known
from provtel.repository import find_repository
from provtel.uncommitted import is_modified

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue


@functools.cache
def detect() -> dict[str, AnyValue]:
    """Return commit, branch, origin without credentials, and whether files differ from the commit.

    A forked child need not find it out again.
    """
    repository = find_repository()
    if repository is None:
        return {}
    branch, revision = repository.head()
    return known(
        [
            (names.VCS_REF_HEAD_REVISION, revision),
            (names.VCS_REF_HEAD_NAME, branch),
            (names.VCS_REPOSITORY_URL_FULL, repository.address(branch)),
            (names.PROVTEL_VCS_MODIFIED, is_modified(repository, revision) if revision else None),
        ]
    )
