"""What a user writes for the ``resource`` processor."""

from __future__ import annotations

from dataclasses import dataclass

from provtel_collector.processors.attribute_actions import ActionConfig


@dataclass(frozen=True, slots=True)
class ResourceConfig:
    """The ``resource`` processor.

    Args:
        attributes: What is done to the attributes of each resource, in this order.
    """

    attributes: tuple[ActionConfig, ...] = ()

    def __post_init__(self) -> None:
        """Refuse to do nothing.

        Raises:
            ValueError: There is no action.
        """
        if not self.attributes:
            raise ValueError('missing required field "attributes"')
