"""What can be found out about where a process runs, each from one source; never the environment as a whole.

Each module has a function `detect`, which returns attributes of OpenTelemetry's resource and raises nothing that its
source says; `for_sdk` gives them to OpenTelemetry's own SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provtel.detectors import (
    container,
    git,
    host,
    operating_system,
    process,
    python_environment,
    ranks,
    scheduler,
    torchrun,
    user,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from provtel_model.anyvalue import AnyValue

DETECTORS: Final[dict[str, Callable[[], dict[str, AnyValue]]]] = {
    "process": process.detect,
    "host": host.detect,
    "os": operating_system.detect,
    "container": container.detect,
    "user": user.detect,
    "git": git.detect,
    "python_environment": python_environment.detect,
    "scheduler": scheduler.detect,
    "ranks": ranks.detect,
    "torchrun": torchrun.detect,
}
"""By name, in the order in which they are asked."""
