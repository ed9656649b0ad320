"""Copies between stores: selected, resumable, and verified by count and digest."""

from __future__ import annotations

from provtel_query.copying.copying import Copied, copy
from provtel_query.copying.verifying import Compared

__all__ = ["Compared", "Copied", "copy"]
