"""The AnyValue form: the tree of plain values that OTLP carries and that everything inside provtel works on."""

from __future__ import annotations

from typing import Final, TypeAlias

AnyValue: TypeAlias = "bool | int | float | str | bytes | list[AnyValue] | dict[str, AnyValue] | None"
"""``None``, ``bool``, 64-bit ``int``, ``float``, ``str`` without surrogates, ``bytes``, and lists and maps of these."""

TYPE_KEY: Final = "provtel.type"
"""The one reserved key: a map that has it is a tag of `provtel_model.values`."""
