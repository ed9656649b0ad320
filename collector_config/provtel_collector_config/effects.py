"""Keys that are taken for the sake of files that have them, and change nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from provtel_model.settings import NO_EFFECT


def keys_without_effect(config: Any) -> Iterator[str]:
    """Yield the paths of the keys of a configuration that are set, and change nothing.

    Args:
        config: An instance of a dataclass.
    """
    for field in dataclasses.fields(config):
        if not field.init:
            continue
        value = getattr(config, field.name)
        if field.metadata.keys() >= NO_EFFECT.keys():
            if value != _default(field):
                yield field.name
        else:
            yield from (f"{field.name}::{path}" for path in _within(value))


def _within(value: Any) -> Iterator[str]:
    if dataclasses.is_dataclass(value):
        yield from keys_without_effect(value)
        return
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, tuple) else ()
    for key, item in items:
        yield from (f"{key}::{path}" for path in _within(item))


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
