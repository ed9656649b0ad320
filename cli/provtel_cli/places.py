"""Arguments that name stores, and what Tab completes them to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Place(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in newer versions only
    """A store: a folder, a file, or an address."""

    name = "store"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002  # click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the schemes of addresses that begin so, and leave the rest to what the shell knows of files."""
        from importlib.metadata import entry_points

        from click.shell_completion import CompletionItem

        schemes = sorted({f"{point.name}://" for point in entry_points(group="provtel.readers")})
        items = [CompletionItem(scheme) for scheme in schemes if incomplete and scheme.startswith(incomplete)]
        return [*items, CompletionItem(incomplete, type="file")]


PLACE: Final = Place()


def located(store: str | None) -> str:
    """Return the location of the store that the options name, by default that of the nearest folder."""
    from provtel_model.store_folder import find_store

    return store or str(find_store())


def lmdb_folder(location: str) -> Path | None:
    """Return where the LMDB files of a store are; ``None`` where it is a file or lies in a database."""
    from provtel_model.store_folder import LMDB_FOLDER
    from provtel_query.stores import FOLDER_SCHEME, resolved, scheme_of

    return Path(resolved(location)) / LMDB_FOLDER if scheme_of(location) == FOLDER_SCHEME else None
