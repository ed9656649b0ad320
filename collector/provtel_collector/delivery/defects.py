"""Failures that are no refusal: somebody's mistake in code."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from provtel_model.errors import RetryableError

if TYPE_CHECKING:
    from provtel_model.components import Consumer

_log = logging.getLogger(__name__)


class DefectError(RetryableError):
    """A consumer failed in a way that it should not; the same batch may be taken when it is sent again."""


def defect(consumer: Consumer, error: BaseException) -> DefectError:
    """Log a failure that is no refusal, and return it as one."""
    _log.error("%s failed in a way that it should not", type(consumer).__name__, exc_info=error)
    return DefectError(f"{type(error).__name__}: {error}")
