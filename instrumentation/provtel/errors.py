"""How an exception is recorded: type, message and stack trace, whatever its own code does."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from provtel_model.journal.layout import Status

from provtel.anatomy import bases, class_name

if TYPE_CHECKING:
    from types import TracebackType

    from provtel_model.record import PlainError

    from provtel.redaction import Redaction

_CANCELLATIONS: Final = frozenset({"CancelledError", "Cancelled"})
_OWN_MODULES: Final = "provtel."
LONGEST_MESSAGE: Final = 4 * 2**10
_LONGEST_TRACE: Final = 32 * 2**10


def status_of(error: BaseException) -> Status:
    """Return how an activity ended that an exception left.

    ``sys.exit()`` with no code or 0 is an ordinary end. A cancelled coroutine and a closed generator are cancelled.
    """
    kind = type(error)
    if issubclass(kind, GeneratorExit) or any(
        class_name(base).rpartition(".")[2] in _CANCELLATIONS for base in bases(kind)
    ):
        return Status.CANCELLED
    if kind is SystemExit and (error.code is None or error.code == 0):  # type: ignore[attr-defined]  # of SystemExit
        return Status.FINISHED
    return Status.ERROR


def describe(error: BaseException, redaction: Redaction) -> PlainError:
    """Return what a record says of an exception; raises nothing but an interrupt from the keyboard."""
    described: PlainError = {"type": class_name(type(error))}
    try:
        message = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # its own code failed
        message = ""
    if message:
        described["message"] = text_of(message, redaction, LONGEST_MESSAGE)
    try:
        trace = "".join(traceback.format_exception(type(error), error, _users_part(error.__traceback__)))
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # as above
        return described
    # The end of a trace says most.
    described["stacktrace"] = _utf8(redaction.text(trace[-2 * _LONGEST_TRACE :])[-_LONGEST_TRACE:])
    return described


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    # The frames that called the user's function are ours, and tell nothing.
    inner = trace
    while inner is not None and str(inner.tb_frame.f_globals.get("__name__")).startswith(_OWN_MODULES):
        inner = inner.tb_next
    return inner or trace


def text_of(text: str, redaction: Redaction, longest: int) -> str:
    """Return a text that may be kept: without secrets, of bounded length, valid UTF-8."""
    # More is searched than is kept: of a secret on the edge no part may stay.
    return _utf8(redaction.text(text[: 2 * longest])[:longest])


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
