"""OpenLineage events (spec 2-0-2), to and from records.

A record is a run of a job: a ``START`` event, and a ``COMPLETE``, ``FAIL`` or ``ABORT`` one where it has ended. Files
and other references are datasets, by place where they have one and else by content; other values are parameters. What
OpenLineage has no word for travels in a facet of ours, which holds the record as OTLP in JSON, so that our own events
come back as the records that they were.
"""

from __future__ import annotations

from provtel_query.openlineage.reading import read_events, read_file
from provtel_query.openlineage.writing import events_of

__all__ = ["events_of", "read_events", "read_file"]
