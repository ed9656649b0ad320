"""Lines of logs, where OpenTelemetry's own instrumentor is not installed."""

from __future__ import annotations

import logging
import sys

import pytest
from provtel.instrumentors.logging import LoggingInstrumentor
from provtel_model.otlp import decode

from tests.instrumentation.programs import Stage
from tests.instrumentation.test_logs import drained, lines_in

OTHER = "opentelemetry.instrumentation.logging"


def test_lines(stage: Stage) -> None:
    """What passes a logger's level is kept with the ids of its task, whatever handlers there are; secrets are not."""
    outcome = stage.run(
        f"""
        import logging, sys
        sys.modules["{OTHER}"] = None
        from provtel import task
        from provtel.instrumentors.logging import LoggingInstrumentor

        LoggingInstrumentor().instrument()
        logging.basicConfig(format="%(message)s", stream=sys.stdout)
        log = logging.getLogger("mine.sub")
        log.setLevel(logging.INFO)
        log.debug("not wanted")
        with task("t"):
            log.info("inside %s", 1, extra={{"step": 3, "password": "hunter"}})
            try:
                raise LookupError("no")
            except LookupError:
                log.exception("failed")
        logging.warning("outside")
        logging.getLogger("opentelemetry.x").warning("not kept")
        LoggingInstrumentor().uninstrument()
        logging.warning("not kept either")
        """
    )
    batches = drained(stage.store)
    inside, failed, outside = lines_in(batches)
    (record,) = (record for batch in batches for record in decode(batch))

    assert outcome.stdout.splitlines()[0] == "inside 1"
    assert outcome.stdout.splitlines()[-1] == "not kept either"
    assert {line["span_id"] for line in (inside, failed)} == {record["span_id"]}
    assert "span_id" not in outside
    assert [(line["severity"], line["severity_text"], line["body"]) for line in (inside, failed, outside)] == [
        (9, "INFO", "inside 1"),
        (17, "ERROR", "failed"),
        (13, "WARN", "outside"),
    ]
    assert inside["scope"]["name"] == "mine.sub"
    assert (inside["attributes"]["step"], inside["attributes"]["password"]) == (3, "[REDACTED]")
    assert failed["attributes"]["exception.type"] == "LookupError"
    assert "raise LookupError" in str(failed["attributes"]["exception.stacktrace"])


def test_uninstrument_restores_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours gives way to OpenTelemetry's own; otherwise it puts back the very object that was there before."""
    before = vars(logging.Logger)["callHandlers"]
    LoggingInstrumentor().instrument()
    assert vars(logging.Logger)["callHandlers"] is before
    LoggingInstrumentor().uninstrument()

    monkeypatch.setitem(sys.modules, OTHER, None)
    LoggingInstrumentor().instrument()
    assert vars(logging.Logger)["callHandlers"] is not before
    LoggingInstrumentor().uninstrument()
    assert vars(logging.Logger)["callHandlers"] is before
