"""What of the GPUs is counted as a task's: by the windows of time in which tasks ran.

The rule. What this process takes of the GPUs is shared, at each moment, by the tasks that run in it then, in equal
parts; a task that has other tasks running inside is not counted beside them, and its figures are theirs and its own
added up. Between two samples the power is taken for even, and after the last one for what it was before.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import create_key
from provtel_model import attributes as names

from provtel.otel_context import current

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue

    from provtel.telemetry.meters import Meter

_WINDOW_KEY: Final = create_key("provtel-gpu-window")
_put: Final = dict.__setitem__
ENERGY, UTILIZATION, MEMORY, SAMPLES, IDS, SCOPE = (
    name.removeprefix(names.TASK_PREFIX)
    for name in (
        names.TASK_GPU_ENERGY,
        names.TASK_GPU_UTILIZATION,
        names.TASK_GPU_MEMORY,
        names.TASK_GPU_SAMPLES,
        names.TASK_GPU_IDS,
        names.TASK_GPU_SCOPE,
    )
)
DEVICE: Final = "device"


@dataclass(frozen=True, slots=True)
class Taken:
    """What this process took of the GPUs since the sample before.

    Args:
        power: Watts, the mean of that time; ``None`` where no GPU tells.
        utilization: Share of the time in which its GPUs worked; ``None`` likewise.
        memory: Bytes now; ``None`` likewise.
        ids: The GPUs that it uses.
        is_device: The figures are of all that use these GPUs.
    """

    power: float | None = None
    utilization: float | None = None
    memory: int | None = None
    ids: tuple[str, ...] = ()
    is_device: bool = False


_NOTHING: Final = Taken()


@dataclass(eq=False, slots=True, weakref_slot=True)
class Window:
    """The time of one task, or of a piece of it."""

    owner: Windows
    parent: Window | None
    home: int
    mark: float
    inside: int = 0
    is_open: bool = True
    pending: float = 0.0
    energy: float = 0.0
    samples: int = 0
    worked: float = 0.0
    memory: int | None = None
    ids: dict[str, None] = field(default_factory=dict)
    is_device: bool = False

    def __del__(self) -> None:
        """Be closed, where its task ended in another thread and so never said so."""
        if self.is_open:
            # Not here: the collector of garbage may have come in the middle of a change.
            self.owner.abandoned.append((self.parent, self.inside))


class Windows:
    """All windows of this process.

    The parts of tasks are counted by one clock, which runs the slower the more tasks share: so a start and an end cost
    the same however many there are.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.abandoned: deque[tuple[Window | None, int]] = deque()
        self._lock = threading.RLock()
        self._windows: weakref.WeakSet[Window] = weakref.WeakSet()
        self._sharing = 0
        self._part = 0.0
        self._at = time.monotonic()
        self._taken = _NOTHING

    def open(self, parent: Window | None, home: int) -> Window:
        """Return the window of a task that starts now.

        Args:
            parent: That of the task around it.
            home: Tells contexts apart.
        """
        with self._lock:
            self._go_on()
            if parent is not None and parent.is_open:
                if not parent.inside:
                    self._settle(parent)
                    self._sharing -= 1
                parent.inside += 1
            window = Window(self, parent, home, self._part)
            self._sharing += 1
            self._windows.add(window)
            return window

    def close(self, window: Window) -> dict[str, AnyValue] | None:
        """End a window; return the figures of its task, where the process uses a GPU."""
        with self._lock:
            if not window.is_open:
                return None
            self._go_on()
            if not window.inside:
                self._settle(window)
            window.energy += (self._taken.power or 0.0) * window.pending
            window.is_open = False
            self._windows.discard(window)
            self._leave(window.parent, window.inside, window.energy)
            return self._figures(window)

    def take(self, taken: Taken) -> None:
        """Take a sample: what the process took since the one before."""
        with self._lock:
            self._go_on()
            self._taken = taken
            for window in [*self._windows]:
                self._count(window, taken)

    def _count(self, window: Window, taken: Taken) -> None:
        if not window.inside:
            self._settle(window)
        window.energy += (taken.power or 0.0) * window.pending
        window.pending = 0.0
        window.samples += 1
        window.worked += taken.utilization or 0.0
        if taken.memory is not None:
            window.memory = max(window.memory or 0, taken.memory)
        window.ids.update(dict.fromkeys(taken.ids))
        window.is_device |= taken.is_device

    def _leave(self, parent: Window | None, inside: int, energy: float) -> None:
        if not inside:
            self._sharing -= 1
        if parent is not None and parent.is_open:
            parent.energy += energy
            parent.inside -= 1
            if not parent.inside:
                parent.mark = self._part
                self._sharing += 1

    def _go_on(self) -> None:
        now = time.monotonic()
        if self._sharing > 0:
            self._part += (now - self._at) / self._sharing
        self._at = now
        while self.abandoned:
            parent, inside = self.abandoned.popleft()
            self._leave(parent, inside, 0.0)

    def _settle(self, window: Window) -> None:
        window.pending += self._part - window.mark
        window.mark = self._part

    def _figures(self, window: Window) -> dict[str, AnyValue] | None:
        last = self._taken
        ids = [*window.ids] if window.samples else [*last.ids]
        if not ids:
            return None
        found: dict[str, AnyValue] = {SAMPLES: window.samples, IDS: list[Any](ids)}
        if last.power is not None:
            found[ENERGY] = round(window.energy, 6)
        if last.utilization is not None:
            found[UTILIZATION] = window.worked / window.samples if window.samples else last.utilization
        memory = window.memory if window.samples else last.memory
        if memory is not None:
            found[MEMORY] = memory
        if window.is_device or (not window.samples and last.is_device):
            found[SCOPE] = DEVICE
        return found


class GpuMeter:
    """Measures by another meter, and takes the task's part of the GPUs.

    Args:
        meter: The other one.
    """

    def __init__(self, meter: Meter) -> None:
        """Keep the meter."""
        self._meter = meter

    def start(self) -> tuple[Any, Window | None]:
        """Return what `spent` wants to know of now."""
        return self._meter.start(), _enter()

    def spent(self, before: tuple[Any, Window | None]) -> tuple[float, float, dict[str, AnyValue] | None]:
        """Return what was used since then."""
        user, system, figures = self._meter.spent(before[0])
        of_gpus = self.elsewhere(before)
        return user, system, {**(figures or {}), **of_gpus} if of_gpus else figures

    def elsewhere(self, before: tuple[Any, Window | None]) -> dict[str, AnyValue] | None:
        """Return the task's part of the GPUs since then, whichever thread asks."""
        return before[1].owner.close(before[1]) if before[1] is not None else None


def _enter() -> Window | None:
    """Open a window in the context that was just made current, which is the task's own."""
    context = current()
    known: Any = context.get(_WINDOW_KEY)
    if isinstance(known, Window) and known.home == id(context):
        known = known.parent  # a later piece of the same task
    window = windows.open(known if isinstance(known, Window) else None, id(context))
    # What starts inside copies the context, and so knows whose part it is.
    _put(context, _WINDOW_KEY, window)
    return window


windows = Windows()
"""Those of this process."""


def _after_fork_in_child() -> None:
    global windows  # noqa: PLW0603  # the parent's tasks are not the child's, nor is its lock
    windows = Windows()


os.register_at_fork(after_in_child=_after_fork_in_child)
