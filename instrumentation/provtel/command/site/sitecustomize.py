"""Loaded by each Python that `provtel run` starts, before its program: the one it would have loaded, then what records.

A Python that has no provtel runs as it would have.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # each Python pays for what this imports


def _load_next() -> None:
    path = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]  # noqa: PTH100  # as above
    spec = PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        sys.modules["sitecustomize"] = module = module_from_spec(spec)
        spec.loader.exec_module(module)


def _instrument() -> None:
    try:
        from provtel.command import child
    except Exception:  # noqa: BLE001, S110  # another Python than ours, which may be of any age
        pass
    else:
        child.instrument()


try:
    _load_next()
finally:
    _instrument()
