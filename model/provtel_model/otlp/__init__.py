"""The codec between OTLP requests and plain records, both ways.

Ended activities are spans. Activities that have not ended are log records with the span's ids, an ``event_name`` of
``prov.activity.*`` and the attributes that the span will have.
"""

from __future__ import annotations

from provtel_model.otlp.checking import check
from provtel_model.otlp.decode import decode
from provtel_model.otlp.encode import encode
from provtel_model.otlp.json_codec import from_json, to_json, to_object

__all__ = ["check", "decode", "encode", "from_json", "to_json", "to_object"]
