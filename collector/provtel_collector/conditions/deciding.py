"""What becomes of a condition that cannot be decided for the data that it met."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from provtel_model.errors import PermanentError

from provtel_collector.conditions.values import ConditionError

if TYPE_CHECKING:
    from provtel_collector.conditions.parsing import Condition
    from provtel_collector.conditions.paths import Place

_log = logging.getLogger(__name__)

ErrorMode = Literal["ignore", "silent", "propagate"]


class Decider:
    """Decides conditions; one that cannot be decided does not hold, or refuses the batch for good.

    Args:
        owner: The path of the component whose conditions they are.
        error_mode: What is done: ``ignore`` it and tell it once, ``silent``, or ``propagate``.
    """

    def __init__(self, owner: str, error_mode: ErrorMode) -> None:
        self._owner = owner
        self._error_mode = error_mode
        self._told: set[str] = set()

    def holds(self, condition: Condition, place: Place) -> bool:
        """Say whether a condition holds at a place.

        Raises:
            PermanentError: It cannot be decided, and that is to be told to the sender.
        """
        try:
            return condition.decide(place)
        except ConditionError as error:
            if self._error_mode == "propagate":
                raise PermanentError(f"condition {condition.text!r} cannot be decided: {error}") from error
            if self._error_mode == "ignore" and condition.text not in self._told:
                self._told.add(condition.text)
                _log.warning(
                    "%s: condition %r cannot be decided for some data, and counts as not holding: %s",
                    self._owner,
                    condition.text,
                    error,
                )
            return False
