"""Values as they were: copies into `AnyValue` form, bounded in depth, width and size, with secrets left out.

No code of a value's own class runs: neither its ``__repr__`` nor its ``__eq__``, ``__iter__`` or ``__getattr__``. So a
value can neither break the program through us nor notice that it was looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provtel_model.values import encode_leaf

from provtel import references
from provtel.content import Content
from provtel.hashing_time import HashBudget, HashingTime
from provtel.redaction import REDACTED, Redaction
from provtel.walk import Walk

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue

    from provtel.settings import Settings


class Snapshots:
    """Takes snapshots of values within the limits of the settings.

    Args:
        settings: Say how much of a value is kept, and which names hide secrets.
    """

    def __init__(self, settings: Settings) -> None:
        """Keep the limits at hand."""
        self.max_depth = settings.max_depth
        self.max_items = settings.max_items
        self.max_text = settings.max_text
        self.max_value = settings.max_value
        self.redaction = Redaction(settings.redact)
        self.content = Content(settings.keep_content, settings.max_content) if settings.keep_content else None
        self._max_hashed = settings.max_hashed
        self._hashing_time = HashingTime(settings.hashing_share)

    def of_role(self, role: str, value: object, objects: list[object] | None = None) -> AnyValue:
        """Return the AnyValue form of the value in a role; never raises.

        Args:
            role: Name of the role; one that hides a secret hides the value.
            value: Any value.
            objects: Collects the instances that were met and that are known by a reference.
        """
        if self.redaction.hides(role) and value is not None and type(value) is not bool:
            return REDACTED
        return self.of(value, objects)

    def of(self, value: object, objects: list[object] | None = None) -> AnyValue:
        """Return the AnyValue form of a value; never raises."""
        try:
            if type(value) is str:
                return self.text(value)
            return Walk(self, [] if objects is None else objects).whole(value)
        except Exception:  # noqa: BLE001  # whatever a value does, the record says at least what it was
            return references.opaque(value).to_value()

    def text(self, text: str) -> AnyValue:
        """Return the form of a text."""
        if len(text) > self.max_text:
            return self._long_text(text)
        kept = self.redaction.text(text)
        if kept.isascii():
            return kept
        form: Any = encode_leaf(kept)
        return form  # type: ignore[no-any-return]  # a text has a form

    def _long_text(self, text: str) -> AnyValue:
        budget = self.budget()
        try:
            return references.of_text(text, self, budget).to_value()
        finally:
            budget.settle()

    def budget(self) -> HashBudget:
        """Return what may be hashed for one value."""
        return HashBudget(self._hashing_time, self._max_hashed, self.content.largest if self.content else 0)
