"""What a user writes for the ``attributes`` processor."""

from __future__ import annotations

from dataclasses import dataclass

from provtel_collector.processors.attribute_actions import ActionConfig
from provtel_collector.processors.matching import MatchConfig


@dataclass(frozen=True, slots=True)
class AttributesConfig:
    """The ``attributes`` processor.

    Args:
        actions: What is done to the attributes, in this order.
        include: Only to what is like this.
        exclude: Not to what is like this.
    """

    actions: tuple[ActionConfig, ...] = ()
    include: MatchConfig | None = None
    exclude: MatchConfig | None = None

    def __post_init__(self) -> None:
        """Refuse to do nothing.

        Raises:
            ValueError: There is no action.
        """
        if not self.actions:
            raise ValueError('missing required field "actions"')
