"""Reaches into both twins of the way of a call: the one in Python and the compiled one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from provtel import ids
from provtel.accelerator import accelerator


@contextmanager
def failing_ids(broken: Callable[..., object]) -> Iterator[None]:
    """Let every start fail in the middle of it, in whichever twin it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("provtel.core.new_span_id", broken)
        if accelerator is not None:
            accelerator.configure(getrandbits=broken)
        try:
            yield
        finally:
            if accelerator is not None:
                accelerator.configure(getrandbits=ids.GENERATOR.getrandbits)
