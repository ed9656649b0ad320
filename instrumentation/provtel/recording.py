"""The recorder of this process: made by the first activity, left behind by a forked child, none when switched off."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from provtel import definition, forking, surroundings
from provtel.accelerator import accelerator

if TYPE_CHECKING:
    from provtel.recorder import Recorder

_current: Recorder | None = None
_making = False


def recorder() -> Recorder | None:
    """Return what records in this process; ``None`` where capture is switched off."""
    return _current or _make()


def _make() -> Recorder | None:
    # What records is loaded with the first activity: a program that imports us and runs none is spared it.
    global _making  # noqa: PLW0603  # there is one journal a process
    with forking.guard:
        if _making:
            return None  # a signal handler in the middle of it: its modules are half there
        _making = True
        try:
            from provtel import settings
            from provtel.recorder import Recorder

            chosen = settings.current()
            if not chosen.disabled and _current is None:
                new = Recorder(chosen)
                if chosen.sampler and "gpu" in chosen.sampler_groups:
                    from provtel.telemetry.gpu import expect_gpus

                    expect_gpus()
                _set(new)
                if chosen.join:
                    from provtel import joining

                    joining.join(new, os.environ)
        finally:
            _making = False
    return _current


def _set(new: Recorder | None) -> None:
    global _current  # noqa: PLW0603  # as above
    _current = new
    if new is not None:
        surroundings.enter(new.surroundings)
        definition.measure_all(new.settings.telemetry)
    if accelerator is None:
        return
    if new is not None:
        secrets = tuple(secret.encode("utf-8", "surrogateescape") for secret in new.snapshots.redaction.secrets)
        accelerator.configure(secrets=secrets, max_text=new.snapshots.max_text)
    accelerator.configure(recorder=new)


def retire(old: Recorder) -> None:
    """Record into a new journal from now on, which the next activity makes."""
    if _current is old:
        _set(None)


def begin_anew() -> None:
    """Record into a new journal from now on, which says what is known of the process now."""
    if _current is not None:
        retire(_current)


def replace(new: Recorder | None) -> Recorder | None:
    """Record by another recorder from now on; return the one before, if there was one."""
    with forking.guard:
        before = _current
        _set(new)
    return before


def _after_fork_in_child() -> None:
    global _making  # as above
    parents, _making = _current, False
    if parents is not None:
        retire(parents)
        parents.abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)
