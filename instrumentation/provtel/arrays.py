"""References to the arrays, tensors and frames of libraries that may be there; none of them is ever imported.

The hash of an array covers ``a``, its element type as NumPy writes it (``<f8``), its shape and its bytes in C order,
each with its length, in the domain of `provtel_model.hashing`: so equal arrays hash equal whatever their layout in
memory, and a tensor as an array. The fingerprint of a large one covers a regular grid of at most 1,024 elements.
A frame is hashed by its columns; the fingerprint of a large one covers at most 64 rows.
"""

from __future__ import annotations

import hashlib
import math
import sys
from typing import TYPE_CHECKING, Any, Final

from provtel_model.hashing import FINGERPRINT_PREFIX, canonical_bytes, hash_bytes
from provtel_model.values import LEAF_TYPES, Reference, encode_leaf

from provtel.anatomy import bases, class_name
from provtel.content import ARRAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provtel.content import Content
    from provtel.hashing_time import HashBudget

    Maker = Callable[[Any, HashBudget, Content | None], Reference]

_GRID: Final = 1024
_COLUMN_COST: Final = 8192
"""To look at a column takes as long as to hash so many bytes."""
_OBJECT_COST: Final = 256
"""To look at an object takes as long as to hash so many bytes."""
_NUMBER_COST: Final = 8
_NUMBERS: Final = ("int", "uint", "float", "bool", "complex", "date", "time", "duration")
_SAMPLED_COLUMNS: Final = 32
_SAMPLED_ROWS: Final = 64
_MAX_COLUMNS: Final = 100
_FEW_COLUMNS: Final = 8
_LEAVES: Final = frozenset(map(id, LEAF_TYPES))
_MAX_KINDS: Final = 1000
_SHOWN: Final = 4
_CPU: Final = "cpu"
_BITS: Final = {
    "torch.bfloat16": "int16",
    "torch.float8_e4m3fn": "uint8",
    "torch.float8_e5m2": "uint8",
}
"""Element types that NumPy lacks, and those of whole numbers of the same size."""
_FINER: Final = ("[ns]", "[ps]", "[fs]", "[as]")
_KEPT: Final = "biufcmM"
"""Kinds of elements that are numbers or times; texts might be secrets."""


def reference(value: object, budget: HashBudget, content: Content | None = None) -> Reference | None:
    """Return the reference to an array, a tensor or a frame; ``None`` for any other value.

    Args:
        value: Any value.
        budget: What may be hashed for it.
        content: Keeps an array whole.
    """
    make = _maker(type(value))
    return None if make is None else make(value, budget, content)


def hash_of(array: Any) -> str:
    """Return the hash of an array of NumPy."""
    return hash_bytes(*_array_canonical(array))


_known: Final[dict[int, tuple[type, Maker | None]]] = {}


def _maker(kind: type) -> Maker | None:
    found = _known.get(id(kind))  # not the class itself: as a key it would be asked for its hash
    if found is None or found[0] is not kind:
        if len(_known) >= _MAX_KINDS:
            _known.clear()
        found = _known[id(kind)] = (kind, _find_maker(kind))
    return found[1]


def _find_maker(kind: type) -> Maker | None:
    for base in bases(kind):
        name = class_name(base)
        make = _MAKERS.get((name.partition(".")[0], name.rpartition(".")[2]))
        if make is not None:
            return make
    return None


def scalar(value: object) -> Any:
    """Return the Python number of a NumPy scalar; ``NotImplemented`` for any other value."""
    numpy: Any = sys.modules.get("numpy")
    generic: Any = getattr(numpy, "generic", None)
    if numpy is None or generic is None or not issubclass(type(value), generic):
        return NotImplemented
    kind = str(generic.dtype.__get__(value)) if issubclass(type(value), (numpy.datetime64, numpy.timedelta64)) else ""
    if kind.endswith(_FINER):
        # What is finer than a microsecond NumPy gives as a number, which would not say what it is.
        value = generic.astype(value, kind.partition("[")[0] + "[us]")
    item = generic.item(value)
    return NotImplemented if issubclass(type(item), generic) else item


def _of_array(value: Any, budget: HashBudget, content: Content | None) -> Reference:
    numpy = sys.modules["numpy"]
    array = numpy.ndarray.view(value, numpy.ndarray)
    known = _array_hash(array, budget)
    return Reference(
        class_name(type(value)),
        hash=known,
        shape=tuple(array.shape),
        dtype=_names_of(array.dtype)[0],
        nbytes=int(array.nbytes),
        preview=_array_preview(array),
        uri=_keep(known, array, content),
    )


def _keep(known: str | None, array: Any, content: Content | None) -> str | None:
    if content is None or array.dtype.kind not in _KEPT:
        return None
    numpy: Any = sys.modules["numpy"]
    return content.keep(known, int(array.nbytes), ARRAY, lambda file: numpy.save(file, array, allow_pickle=False))


_dtypes: Final[dict[Any, tuple[str, bytes]]] = {}


def _names_of(dtype: Any) -> tuple[str, bytes]:
    """Return how people write an element type, and how its hash does; NumPy takes a microsecond for each."""
    found = _dtypes.get(dtype)
    if found is None:
        if len(_dtypes) >= _MAX_KINDS:
            _dtypes.clear()
        written = dtype.str if dtype.names is None else str(dtype.descr)
        found = _dtypes[dtype] = (str(dtype), written.encode())
    return found


def _array_hash(array: Any, budget: HashBudget) -> str | None:
    if array.dtype.hasobject:
        return None
    if budget.take(array.nbytes):
        return hash_of(array)
    if array.size <= _GRID or not budget.take(_GRID * array.dtype.itemsize):
        return None
    step = max(1, math.ceil((array.size / _GRID) ** (1 / array.ndim)))
    grid = array[(slice(None, None, step),) * array.ndim]
    shape = canonical_bytes(list(array.shape))
    return FINGERPRINT_PREFIX + hashlib.sha256(shape + b"".join(_array_canonical(grid))).hexdigest()


def _array_canonical(array: Any) -> tuple[Any, ...]:
    kind = _names_of(array.dtype)[1]
    shape = canonical_bytes(list(array.shape))
    return b"a%d:" % len(kind), kind, shape, b"%d:" % array.nbytes, _bytes_of(array)


def _bytes_of(array: Any) -> Any:
    """Return the bytes of an array in C order, where they lie so in memory without a copy."""
    if array.flags.c_contiguous and array.dtype.kind in "biufc" and array.size:
        return array.data.cast("B")
    return array.tobytes()


def _array_preview(array: Any) -> str | None:
    if array.dtype.kind not in _KEPT or not array.size:
        return None
    first = array[(0,) * (array.ndim - 1)][:_SHOWN] if array.ndim else array.reshape(1)
    more = ", …" if array.size > len(first) else ""
    return f"[{', '.join(map(str, first.tolist()))}{more}]"


def _of_tensor(value: Any, budget: HashBudget, content: Content | None) -> Reference:
    torch: Any = sys.modules["torch"]
    # A subclass may change what its attributes say, by code of its own.
    with torch._C.DisableTorchFunction():  # noqa: SLF001  # there is no public name for it in all versions
        device, dtype = str(value.device), str(value.dtype)
        array = _tensor_as_array(value, torch) if device == _CPU else None
        known = uri = None
        if array is not None:
            known = _array_hash(array, budget)
            uri = _keep(known, array, content)
        elif device == _CPU:
            known = _hash_of_bits(value, dtype, torch, budget)
        return Reference(
            class_name(type(value)),
            hash=known,
            shape=tuple(int(length) for length in value.shape),
            dtype=dtype.rpartition(".")[2],
            nbytes=int(value.element_size() * value.nelement()),
            preview=device if array is None else _array_preview(array),
            uri=uri,
        )


def _has_content(value: Any, torch: Any) -> bool:
    """Say whether a tensor has bytes that may be read: a sparse one has none, nor has one that is being traced."""
    kind = type(value)
    return (kind is torch.Tensor or kind is torch.nn.Parameter) and value.layout is torch.strided


def _tensor_as_array(value: Any, torch: Any) -> Any:
    """Return the array that shares a tensor's memory, where there is one.

    What is on another device is never asked: its bytes would have to be waited for.
    """
    if not _has_content(value, torch):
        return None
    try:
        return value.detach().numpy()
    except (TypeError, RuntimeError):  # of an element type that NumPy lacks, or kept as the conjugate of what it is
        return None


def _hash_of_bits(value: Any, dtype: str, torch: Any, budget: HashBudget) -> str | None:
    """Return the hash of a tensor of an element type that NumPy lacks: of its bits, under the type's own name."""
    nbytes = int(value.element_size() * value.nelement())
    if not _has_content(value, torch) or dtype not in _BITS or not budget.take(nbytes):
        return None
    bits = value.detach().contiguous().view(getattr(torch, _BITS[dtype])).numpy()
    shape = canonical_bytes([int(length) for length in value.shape])
    return hash_bytes(b"a%d:" % len(dtype), dtype.encode(), shape, b"%d:" % nbytes, bits.tobytes())


def _of_frame(value: Any, budget: HashBudget, content: Content | None) -> Reference:  # noqa: ARG001  # arrays are kept
    shape = tuple(int(length) for length in value.shape)
    columns = [str(name) for name in getattr(value, "columns", [getattr(value, "name", "")])[: _MAX_COLUMNS + 1]]
    kinds = [value.dtype] if len(shape) == 1 else list(value.dtypes) if shape[1] <= _MAX_COLUMNS else None
    return Reference(
        class_name(type(value)),
        hash=None if kinds is None else _frame_hash(value, columns, kinds, budget),
        shape=shape,
        dtype=str(value.dtype) if len(shape) == 1 else None,
        nbytes=None if kinds is None else _frame_nbytes(value, kinds),
        preview=", ".join(columns)[:200] or None,
    )


def _frame_hash(value: Any, columns: list[str], kinds: list[Any], budget: HashBudget) -> str | None:
    by_row = sum(_NUMBER_COST if str(kind).lower().startswith(_NUMBERS) else _OBJECT_COST for kind in kinds)
    whole = budget.take(len(columns) * _COLUMN_COST + len(value) * by_row)
    if not whole and len(columns) > _SAMPLED_COLUMNS:
        return None
    parts = [
        _column_canonical(column) for column in _columns(value, 1 if whole else -(-len(value) // _SAMPLED_ROWS) or 1)
    ]
    if None in parts:
        return None
    canonical = b"".join([b"f", canonical_bytes([*columns]), *filter(None, parts)])
    if whole:
        return hash_bytes(canonical)
    return FINGERPRINT_PREFIX + hashlib.sha256(b"%d:" % len(value) + canonical).hexdigest()


def _columns(value: Any, step: int) -> Iterator[Any]:
    """Yield the columns as arrays, with each row or some, of a frame of pandas the index first."""
    if hasattr(value, "iloc"):
        value = value.iloc[::step]
        yield value.index.to_numpy()
        yield from [value.to_numpy()] if len(value.shape) == 1 else (column.to_numpy() for _, column in value.items())
        return
    columns = value.get_columns() if hasattr(value, "get_columns") else [value]
    yield from ((column.gather_every(step) if step > 1 else column).to_numpy() for column in columns)


def _column_canonical(column: Any) -> bytes | None:
    if not column.dtype.hasobject:
        return b"".join(_array_canonical(column))
    items: list[Any] = column.tolist()
    if {*map(id, map(type, items))} != {id(str)}:
        items = [encode_leaf(item) if id(type(item)) in _LEAVES else NotImplemented for item in items]
    elif not "".join(items).isascii():
        items = [encode_leaf(item) for item in items]
    return None if any(item is NotImplemented for item in items) else canonical_bytes(items)


def _frame_nbytes(value: Any, kinds: list[Any]) -> int | None:
    if hasattr(value, "estimated_size"):
        return int(value.estimated_size())
    if len(value.shape) == 1:
        return int(value.nbytes)
    # What pandas says itself, it says ten times as slowly.
    sizes = [getattr(kind, "itemsize", None) if type(kind).__module__.startswith("numpy") else None for kind in kinds]
    if None in sizes:
        return int(value.memory_usage().sum()) if len(sizes) <= _FEW_COLUMNS else None
    return int(len(value) * sum(filter(None, sizes)) + value.index.nbytes)


_MAKERS: Final[dict[tuple[str, str], Maker]] = {
    ("numpy", "ndarray"): _of_array,
    ("torch", "Tensor"): _of_tensor,
    ("pandas", "DataFrame"): _of_frame,
    ("pandas", "Series"): _of_frame,
    ("polars", "DataFrame"): _of_frame,
    ("polars", "Series"): _of_frame,
}
