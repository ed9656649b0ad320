"""The stages and the recorder of the tests of capture."""

from __future__ import annotations

from tests.instrumentation.conftest import recorded, stage

__all__ = ["recorded", "stage"]
