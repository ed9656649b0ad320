"""What is known of this process and the machine it runs on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from provtel_model import attributes as names
from provtel_model.journal.layout import ProcessFacts
from provtel_model.journal.liveness import boot_id, host_name, process_started

from provtel import notices, settings
from provtel.detectors import DETECTORS
from provtel.redaction import REDACTED, Redaction
from provtel.version import VERSION

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue

_learned: Final[dict[str, AnyValue]] = {}
_told: Final[dict[str, AnyValue]] = {}


def describe(endpoint: str | None) -> ProcessFacts:
    """Return what the journal says of this process.

    Args:
        endpoint: Where the records are to be sent; without one they are for the store that the journal lies in.
    """
    pid = os.getpid()
    return ProcessFacts(
        resource=_resource(),
        version=VERSION,
        pid=pid,
        started=process_started(pid) or 0,
        boot=boot_id(),
        host=host_name(),
        endpoint=endpoint,
    )


def learn(facts: dict[str, AnyValue]) -> bool:
    """Take note of what became known of this process; say whether a journal was made that does not say so.

    Journals that are made from now on do; what the user gave as an attribute holds nevertheless.
    """
    _learned.update(facts)
    return bool(_told) and any(_told.get(name) != value for name, value in facts.items())


def _resource() -> dict[str, AnyValue]:
    chosen = settings.current()
    redaction = Redaction(chosen.redact)
    given = _given_attributes(redaction)
    found: dict[str, Any] = {
        names.SERVICE_NAME: _service_name(),
        names.TELEMETRY_SDK_NAME: names.SCOPE_NAME,
        names.TELEMETRY_SDK_LANGUAGE: "python",
        names.TELEMETRY_SDK_VERSION: VERSION,
        names.PROVTEL_SETTINGS: settings.in_force(chosen) or None,
        **_detected(redaction),
        **_learned,
        **given,
    }
    known: dict[str, AnyValue] = {name: value for name, value in found.items() if value is not None}
    _told.update(known)
    return {_utf8(name): _utf8(value) if isinstance(value, str) else value for name, value in known.items()}


def _detected(redaction: Redaction) -> dict[str, AnyValue]:
    found: dict[str, AnyValue] = {}
    for name, detect in DETECTORS.items():
        try:
            found.update(detect())
        except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
            notices.capture_failed(f"what the detector {name} finds out", error)
    return {name: redaction.text(value) if isinstance(value, str) else value for name, value in found.items()}


def _utf8(text: str) -> str:
    """Return a text without what UTF-8 cannot say: names of files and users need not be in it."""
    return text.encode("utf-8", "replace").decode()


def _given_attributes(redaction: Redaction) -> dict[str, AnyValue]:
    pairs = (pair.partition("=") for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    said = {unquote(key.strip()): unquote(value.strip()) for key, mark, value in pairs if mark}
    given: dict[str, AnyValue] = {
        key: REDACTED if redaction.hides(key) else redaction.text(value) for key, value in said.items()
    }
    service = os.environ.get("OTEL_SERVICE_NAME")
    return {**given, names.SERVICE_NAME: service} if service else given


def _service_name() -> str:
    script = Path(sys.argv[0]).stem if getattr(sys, "argv", None) else ""
    return script if script and not script.startswith("-") else "python"
