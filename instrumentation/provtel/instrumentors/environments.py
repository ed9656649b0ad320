"""The environment of a program that is started: the user's own, and in it what is current."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from provtel.carrier import VARIABLES, variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context


def taking_along(given: Mapping[Any, Any] | None, context: Context) -> Mapping[Any, Any] | None:
    """Return an environment that takes a context along; what was given is never changed.

    Where the user has put a context in it, other than the one that this process was started in, it stays as it is.

    Args:
        given: What the user gave, by texts or by bytes; ``None`` for this process's.
        context: What the program is to run in.
    """
    if given is not None and any(_is_own(given, name) for name in VARIABLES):
        return given
    kept = {name: value for name, value in (os.environ if given is None else given).items() if not _is_ours(name)}
    return {**kept, **variables(context)}


def _is_own(given: Mapping[Any, Any], name: str) -> bool:
    value = given.get(name, given.get(name.encode()))
    return value is not None and os.fsdecode(value) != os.environ.get(name)


def _is_ours(name: Any) -> bool:
    return isinstance(name, str | bytes) and os.fsdecode(name) in VARIABLES
