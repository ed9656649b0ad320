"""The ``basicauth`` extension: a name and a password, for servers and for clients."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.extensions.basicauth.config import BasicAuthConfig
from provtel_collector.extensions.basicauth.extension import create

factory: Final = Factory("basicauth", BasicAuthConfig, create)
