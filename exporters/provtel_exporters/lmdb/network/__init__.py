"""A store on a network file system: sealed segments there, and an index of them on the disk of whoever reads."""

from __future__ import annotations

from provtel_exporters.lmdb.network.reader import SegmentReader
from provtel_exporters.lmdb.network.writer import SegmentWriter

__all__ = ["SegmentReader", "SegmentWriter"]
