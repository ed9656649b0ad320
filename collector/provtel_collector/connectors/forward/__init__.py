"""The ``forward`` connector: joins pipelines as they are."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.connectors.forward.config import ForwardConfig
from provtel_collector.connectors.forward.connector import ForwardConnector

factory: Final = Factory("forward", ForwardConfig, ForwardConnector)
"""What a user writes for the ``forward`` connector: nothing."""
