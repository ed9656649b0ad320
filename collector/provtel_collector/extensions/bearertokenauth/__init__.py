"""The ``bearertokenauth`` extension: a token in a header, for servers and for clients."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.extensions.bearertokenauth.config import BearerTokenAuthConfig
from provtel_collector.extensions.bearertokenauth.extension import BearerTokenAuth

factory: Final = Factory("bearertokenauth", BearerTokenAuthConfig, BearerTokenAuth)
