"""References to the arrays, tensors and frames of libraries that may be there; none of them is ever imported.

The hash of an array covers ``a``, its element type as NumPy writes it (``<f8``), its shape and its bytes in C order,
each with its length, in the domain of `provtel_model.hashing`: so equal arrays hash equal whatever their layout in
memory, and a tensor as an array. The fingerprint of a large one covers a regular grid of at most 16,384 elements.
A frame is hashed by its columns.
"""

from __future__ import annotations

import hashlib
import math
import sys
from typing import TYPE_CHECKING, Any, Final

from provtel_model.hashing import FINGERPRINT_PREFIX, canonical_bytes, hash_bytes
from provtel_model.values import Reference, encode_leaf

from provtel.anatomy import bases, class_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_HASHED: Final = 2**20
"""Content of more bytes is known by a fingerprint only, so that the caller does not wait for its hash."""
_GRID: Final = 16_384
_MAX_CELLS: Final = 100_000
_MAX_COLUMNS: Final = 1000


class HashBudget:
    """How many bytes may still be hashed for one value."""

    def __init__(self, nbytes: int = 4 * MAX_HASHED) -> None:
        """Begin with all of it."""
        self._left = nbytes

    def take(self, nbytes: int) -> bool:
        """Say whether so many bytes may be hashed, and count them."""
        if nbytes > min(self._left, MAX_HASHED):
            return False
        self._left -= nbytes
        return True


def reference(value: object, budget: HashBudget) -> Reference | None:
    """Return the reference to an array, a tensor or a frame; ``None`` for any other value."""
    for base in bases(type(value)):
        name = class_name(base)
        make = _MAKERS.get((name.partition(".")[0], name.rpartition(".")[2]))
        if make is not None:
            return make(value, budget)
    return None


def scalar(value: object) -> Any:
    """Return the Python number of a NumPy scalar; ``NotImplemented`` for any other value."""
    numpy = sys.modules.get("numpy")
    generic: Any = getattr(numpy, "generic", None)
    if generic is None or not issubclass(type(value), generic):
        return NotImplemented
    item = generic.item(value)
    return NotImplemented if issubclass(type(item), generic) else item


def _of_array(value: Any, budget: HashBudget) -> Reference:
    numpy = sys.modules["numpy"]
    array = numpy.ndarray.view(value, numpy.ndarray)
    return Reference(
        class_name(type(value)),
        hash=_array_hash(array, budget),
        shape=tuple(array.shape),
        dtype=str(array.dtype),
        nbytes=int(array.nbytes),
        preview=_array_preview(array),
    )


def _array_hash(array: Any, budget: HashBudget) -> str | None:
    if array.dtype.hasobject:
        return None
    if budget.take(array.nbytes):
        return hash_bytes(*_array_canonical(array))
    if not budget.take(_GRID * array.dtype.itemsize):
        return None
    step = max(1, math.ceil((array.size / _GRID) ** (1 / array.ndim)))
    grid = array[(slice(None, None, step),) * array.ndim]
    shape = canonical_bytes(list(array.shape))
    return FINGERPRINT_PREFIX + hashlib.sha256(shape + b"".join(_array_canonical(grid))).hexdigest()


def _array_canonical(array: Any) -> tuple[bytes, ...]:
    kind = (array.dtype.str if array.dtype.names is None else str(array.dtype.descr)).encode()
    shape = canonical_bytes(list(array.shape))
    return b"a%d:" % len(kind), kind, shape, b"%d:" % array.nbytes, array.tobytes()


def _array_preview(array: Any) -> str | None:
    if array.dtype.hasobject or not array.size:
        return None
    first = array[(0,) * (array.ndim - 1)][:4] if array.ndim else array.reshape(1)
    more = ", …" if array.size > len(first) else ""
    return f"[{', '.join(str(item) for item in first.tolist())}{more}]"


def _of_tensor(value: Any, budget: HashBudget) -> Reference:
    device = str(value.device)
    nbytes = int(value.element_size() * value.nelement())
    # Bytes of another device would have to be waited for.
    array = _tensor_as_array(value) if device == "cpu" else None
    return Reference(
        class_name(type(value)),
        hash=None if array is None else _array_hash(array, budget),
        shape=tuple(int(length) for length in value.shape),
        dtype=str(value.dtype).rpartition(".")[2],
        nbytes=nbytes,
        preview=device if array is None else _array_preview(array),
    )


def _tensor_as_array(value: Any) -> Any:
    try:
        return value.detach().numpy()
    except (TypeError, RuntimeError):  # sparse, or of an element type that NumPy lacks
        return None


def _of_frame(value: Any, budget: HashBudget) -> Reference:
    shape = tuple(int(length) for length in value.shape)
    columns = [str(name) for name in list(getattr(value, "columns", [getattr(value, "name", "")]))[:_MAX_COLUMNS]]
    return Reference(
        class_name(type(value)),
        hash=_frame_hash(value, math.prod(shape), columns, budget),
        shape=shape,
        dtype=str(value.dtype) if len(shape) == 1 else None,
        nbytes=_frame_nbytes(value),
        preview=", ".join(columns)[:200] or None,
    )


def _frame_hash(value: Any, cells: int, columns: list[str], budget: HashBudget) -> str | None:
    if cells > _MAX_CELLS or len(columns) >= _MAX_COLUMNS or not budget.take(8 * cells):
        return None
    parts = [_column_canonical(column) for column in _columns(value)]
    return None if None in parts else hash_bytes(b"".join([b"f", canonical_bytes([*columns]), *filter(None, parts)]))


def _columns(value: Any) -> Iterator[Any]:
    """Yield the columns as arrays, of a frame of pandas the index first."""
    if hasattr(value, "index"):
        yield value.index.to_numpy()
    if hasattr(value, "get_columns"):
        yield from (column.to_numpy() for column in value.get_columns())
    elif len(value.shape) == 1:
        yield value.to_numpy()
    else:
        yield from (value.iloc[:, place].to_numpy() for place in range(value.shape[1]))


def _column_canonical(column: Any) -> bytes | None:
    if not column.dtype.hasobject:
        return b"".join(_array_canonical(column))
    items: list[Any] = [encode_leaf(item) for item in column.tolist()]
    return None if any(item is NotImplemented for item in items) else canonical_bytes(items)


def _frame_nbytes(value: Any) -> int | None:
    if hasattr(value, "estimated_size"):
        return int(value.estimated_size())
    return int(value.nbytes) if len(value.shape) == 1 else int(value.memory_usage().sum())


_MAKERS: Final[dict[tuple[str, str], Callable[[Any, HashBudget], Reference]]] = {
    ("numpy", "ndarray"): _of_array,
    ("torch", "Tensor"): _of_tensor,
    ("pandas", "DataFrame"): _of_frame,
    ("pandas", "Series"): _of_frame,
    ("polars", "DataFrame"): _of_frame,
    ("polars", "Series"): _of_frame,
}
