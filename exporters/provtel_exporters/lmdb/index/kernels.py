"""What is done to every key or value of a block: compiled where it can be, else as `in_python` does it.

There every function is described. A block that is damaged is a ValueError or IndexError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from provtel_model.compiled import load

from provtel_exporters.lmdb.index import in_python
from provtel_exporters.lmdb.index.in_python import LAST, NO_NUMBER, NOTHING, Ranking, rank_of_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

__all__ = [
    "LAST",
    "NOTHING",
    "NO_NUMBER",
    "Ranking",
    "both",
    "compare",
    "either",
    "first",
    "kept",
    "many",
    "map_codes",
    "merge_keys",
    "outside",
    "rank_of_number",
    "search",
    "search_within",
    "seconds",
    "sort_keys",
    "spread",
]

_keys: Final[ModuleType] = load("provtel_exporters.lmdb.index._key_kernels") or in_python
_columns: Final[ModuleType] = load("provtel_exporters.lmdb.index._column_kernels") or in_python
_rows: Final[ModuleType] = load("provtel_exporters.lmdb.index._row_kernels") or in_python

sort_keys: Final[Callable[[Sequence[bytes]], tuple[bytes, bytes]]] = _keys.sort_keys
merge_keys: Final[Callable[[Sequence[tuple[Any, Any, Any]]], tuple[bytes, bytes]]] = _keys.merge_keys
search: Final[Callable[[Any, Any, int], list[tuple[int, int]]]] = _keys.search
search_within: Final[Callable[[Any, Any, Any, bytes], list[tuple[int, int]]]] = _keys.search_within
compare: Final[Callable[[Any, str, str, float], bytes]] = _columns.compare
map_codes: Final[Callable[[Any, str, bytes], bytes]] = _columns.map_codes
spread: Final[Callable[[int, Any, bytes, int], bytes]] = _columns.spread
seconds: Final[Callable[[Any, Any, Any], bytes]] = _columns.seconds
kept: Final[Callable[[Any, int, bytes], bytes]] = _columns.kept
first: Final[Callable[[Sequence[Ranking], Sequence[int] | None, bytes, int], tuple[list[int], list[int]]]] = _rows.first
both: Final[Callable[[bytes, bytes], bytes]] = _rows.both
either: Final[Callable[[bytes, bytes], bytes]] = _rows.either
outside: Final[Callable[[bytes, bytes], bytes]] = _rows.outside
many: Final[Callable[[bytes], int]] = _rows.many
