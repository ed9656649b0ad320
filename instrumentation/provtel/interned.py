"""Facts that a segment of the journal holds once, and that starts refer to by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel.accelerator import accelerator

if TYPE_CHECKING:
    from provtel.telemetry import Meter


class Interned:
    """Facts with a number.

    Attributes:
        number: Tells them from others of this process.
        stamp: The segment that was last seen to have them.
        meter: Of a definition: measures what an activity costs.
        telemetry: That is wanted.
        arity: How many arguments a call has that gives all by position; -1 where that cannot be told.
        is_plain: Numbers, texts without secrets, truth values and ``None`` are recorded as they are given.
        takes_plain: The same holds for what is returned.
        keeps_none: ``None`` that is returned is an output.
        has_own_run: It changes the run for what starts inside.
    """

    number: int
    stamp: object = None
    meter: Meter
    telemetry: bool
    arity: int
    is_plain: bool = False
    takes_plain: bool = False
    keeps_none: bool
    has_own_run: bool

    def payload(self) -> bytes:
        """Return the frame's payload."""
        raise NotImplementedError


if accelerator is not None and not TYPE_CHECKING:
    Interned = accelerator.Interned
