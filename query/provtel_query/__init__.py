"""Questions and answers: find records, follow data through its lineage, write a run as PROV or as a picture."""

from __future__ import annotations

from provtel_query.connect import connect
from provtel_query.evidence import Evidence
from provtel_query.frames import frame
from provtel_query.lineage import Direction, Entity, Generation, Lineage, Usage
from provtel_query.store import Store

__all__ = ["Direction", "Entity", "Evidence", "Generation", "Lineage", "Store", "Usage", "connect", "frame"]
