"""The detectors for OpenTelemetry's SDK, which finds them where OTEL_EXPERIMENTAL_RESOURCE_DETECTORS names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from opentelemetry.sdk.resources import Resource, ResourceDetector

from provtel.detectors import DETECTORS

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue


class _Detector(ResourceDetector):
    name: ClassVar[str]

    def detect(self) -> Resource:
        """Return what was found; nothing where there is nothing to find."""
        found: dict[str, AnyValue] = DETECTORS[self.name]()
        return Resource(found)

    def is_process_dependent(self) -> bool:
        """Say whether a forked child has to ask anew."""
        return self.name == "process"


class ProcessDetector(_Detector):
    """Process id, command, interpreter, working folder."""

    name = "process"


class HostDetector(_Detector):
    """Name, id and architecture of the host."""

    name = "host"


class OperatingSystemDetector(_Detector):
    """Kind, name and version of the operating system."""

    name = "os"


class ContainerDetector(_Detector):
    """Id, name, image and runtime of the container."""

    name = "container"


class UserDetector(_Detector):
    """Name and number of the user."""

    name = "user"


class GitDetector(_Detector):
    """Commit, branch, origin, and whether files differ from the commit."""

    name = "git"


class PythonEnvironmentDetector(_Detector):
    """Hash of the installed distributions."""

    name = "python_environment"


class SchedulerDetector(_Detector):
    """The batch job: of Flux, Slurm, PBS, LSF or Kubernetes."""

    name = "scheduler"


class RanksDetector(_Detector):
    """Rank and size of the world, as MPI, Slurm, Flux or torchrun say."""

    name = "ranks"


class TorchrunDetector(_Detector):
    """The run of torchrun."""

    name = "torchrun"
