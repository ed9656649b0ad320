"""Whether an exception or a `break` left a ``for``: Python tells the iterator neither, so the frame is looked at.

When an exception leaves the body, the iterator is let go in the middle of the instruction that raised, and the
exception's traceback holds the frame already. `break` and `return` have an instruction of their own for it.
"""

from __future__ import annotations

import sys
from opcode import opname
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from types import CodeType, FrameType

_LETS_GO: Final = frozenset(
    # `break` and `return`, also where an exception that was handled holds the frame; a variable that is given up; a
    # generator that is closed because nobody wants more of it, which to it is an exception.
    {"POP_TOP", "POP_ITER", "STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF"}
    | {"DELETE_FAST", "DELETE_NAME", "DELETE_GLOBAL", "DELETE_DEREF"}
    | {"YIELD_VALUE", "RESUME"}
)


class Asker(NamedTuple):
    """A frame that asks for items; the frame itself is not kept, because it would keep the user's variables."""

    frame: int
    code: CodeType | None

    @classmethod
    def of(cls, frame: FrameType) -> Asker:
        """Return what tells a running frame from all others."""
        return cls(id(frame), frame.f_code)


NOBODY: Final = Asker(0, None)


def by_exception(asker: Asker) -> str | None:
    """Return where an exception leaves the ``for`` whose iterator is just let go; ``None`` where none is seen.

    To be called by the iterator's ``__del__``. An exception is not seen where the iterator has another owner than the
    ``for``: a variable, a generator expression, before Python 3.12 a comprehension.

    Args:
        asker: The frame of the ``for``.
    """
    frame = sys._getframe(2)  # noqa: SLF001  # the frame that is run is known to nobody else
    if Asker.of(frame) != asker or sys.getrefcount(frame) <= _REFERENCES:
        return None
    if opname[frame.f_code.co_code[frame.f_lasti]] in _LETS_GO:
        return None
    return f"an exception left the loop in line {frame.f_lineno} of {frame.f_code.co_filename}"


class _Probe:
    """Counts the references to the frame of a ``for`` that is left by `break`."""

    references = 0

    def __iter__(self) -> _Probe:
        return self

    def __next__(self) -> None:
        return None

    def __del__(self) -> None:
        type(self).references = _count()


def _count() -> int:
    # Two calls deep and bound to a name, as above: how many references that makes depends on the version of Python.
    frame = sys._getframe(2)  # noqa: SLF001  # as above
    return sys.getrefcount(frame)


def _references() -> int:
    for _ in _Probe():
        break
    return _Probe.references


_REFERENCES: Final = _references()
"""How many references a frame has that no traceback holds."""
