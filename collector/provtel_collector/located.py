"""Mistakes of a person, told with the place in the configuration where they were made."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from provtel_model.errors import ConfigError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def located(path: str) -> Iterator[None]:
    """Give a `UserError` of the block the path of the component that raised it, where it has none.

    Raises:
        ConfigError: The error with its path.
    """
    try:
        yield
    except UserError as error:
        if isinstance(error, ConfigError) and error.path:
            raise
        raise ConfigError(str(error), path) from error
