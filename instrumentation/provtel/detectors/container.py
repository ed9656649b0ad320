"""The container that this process runs in: of Docker, Podman, containerd, CRI-O, Kubernetes, Apptainer."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model import attributes as names

from provtel.detectors.sources import first, known, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel_model.anyvalue import AnyValue

_ID: Final = r"([0-9a-f]{64})"
_IN_CGROUP: Final = re.compile(rf"(?:^|[/:-]){_ID}(?:\.scope)?(?:/[^\s]*)?$", re.MULTILINE)
"""As the last folders of a control group: of version 1 always, of version 2 where it has no name space of its own."""
_IN_MOUNTS: Final = re.compile(
    rf"/(?:containers|overlay-containers|sandboxes)/{_ID}/\S*?(?:hostname|resolv\.conf|hosts) "
)
"""In the place that a file of every container is mounted from."""
_RUNTIMES: Final = (("libpod", "podman"), ("crio", "cri-o"), ("cri-containerd", "containerd"), ("docker", "docker"))
_ENTRY: Final = re.compile(r'^(\w+)="(.*)"$', re.MULTILINE)


def detect(root: Path = Path("/"), environment: Mapping[str, str] = os.environ) -> dict[str, AnyValue]:
    """Return id, name and image of the container, and what runs it; nothing outside of any.

    Args:
        root: Where the system's files are.
        environment: The variables of the process.
    """
    image = first(environment, "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER")
    if image is not None:
        name = first(environment, "APPTAINER_NAME", "SINGULARITY_NAME")
        return known(
            [
                (names.CONTAINER_RUNTIME_NAME, "apptainer"),
                (names.CONTAINER_IMAGE_NAME, image),
                (names.CONTAINER_NAME, name),
            ]
        )
    groups, mounts = text_of(root / "proc/self/cgroup"), text_of(root / "proc/self/mountinfo")
    podman = root / "run/.containerenv"
    said = dict(_ENTRY.findall(text_of(podman)))
    found = _IN_CGROUP.search(groups) or _IN_MOUNTS.search(mounts)
    identity = said.get("id") or (found[1] if found else None)
    is_podman, is_docker = podman.exists(), (root / ".dockerenv").exists()
    if identity is None and not is_podman and not is_docker:
        return {}
    runtime = "podman" if is_podman else "docker" if is_docker else _runtime(groups + mounts)
    return known(
        [
            (names.CONTAINER_ID, identity),
            (names.CONTAINER_RUNTIME_NAME, runtime),
            (names.CONTAINER_NAME, said.get("name")),
            (names.CONTAINER_IMAGE_NAME, said.get("image")),
        ]
    )


def _runtime(text: str) -> str | None:
    return next((name for word, name in _RUNTIMES if word in text), None)
