"""One place decides whether a compiled module runs."""

from __future__ import annotations

import pytest
from provtel_model import compiled

from tests.house.project import ROOT


def test_module_that_was_not_compiled_is_none() -> None:
    """What was not compiled here is no error: its twin runs."""
    assert compiled.load("provtel_model.journal._no_such_module") is None


def test_environment_rules_compiled_modules_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With PROVTEL_PURE_PYTHON=1 nothing compiled is loaded, with 0 or nothing it is, whatever the module."""
    monkeypatch.setenv(compiled.VARIABLE, "1")
    assert compiled.load("math") is None

    for said in ("0", ""):
        monkeypatch.setenv(compiled.VARIABLE, said)
        assert compiled.load("math") is not None


def test_modules_of_the_checkout_are_as_new_as_their_sources() -> None:
    """What the tests run is compiled from what the checkout holds; `make .venv/.dev` compiles it anew."""
    for source in ROOT.glob("*/provtel*/**/*.c"):
        changed = max(file.stat().st_mtime for file in (source, *ROOT.glob("*/provtel*/**/*.h")))
        for module in source.parent.glob(f"{source.stem}.*.so"):
            assert module.stat().st_mtime >= changed, f"{module} is older than its source"
