"""Build or find every real server that the tests talk to, and say which real thing each is."""

from __future__ import annotations

import sys

from tests.services import logfire, openmpi, redis, systemd, torch
from tests.services.amdsmi import library as amdsmi
from tests.services.compose import reader as compose
from tests.services.container import reader as container
from tests.services.found import MissingServiceError
from tests.services.h2spec import program as h2spec
from tests.services.kafka import server as kafka
from tests.services.mongodb import finding as mongodb
from tests.services.nvml import library as nvml
from tests.services.otelcol import server as otelcol
from tests.services.rocrate import validator as roc_validator
from tests.services.sdks import programs as sdks
from tests.services.slurm import cluster as slurm

FINDERS = {
    "amdsmi": amdsmi.build,
    "compose": compose.find,
    "container": container.find,
    "go_sdk": sdks.find_go,
    "h2spec": h2spec.find,
    "java_sdk": sdks.find_java,
    "kafka": kafka.find,
    "logfire": logfire.find,
    "mongodb": mongodb.find_any,
    "mongodb to kill": mongodb.find_durable,
    "openmpi": openmpi.install,
    "nvml": nvml.build,
    "otelcol": otelcol.find,
    "roc-validator": roc_validator.find,
    "redis": redis.install,
    "slurm": slurm.install,
    "systemd-analyze": systemd.find,
    "torch": torch.install,
}


def main() -> int:
    """Print one line a service; return 1 where one is missing."""
    missing = 0
    for name, find in FINDERS.items():
        try:
            print(find(), flush=True)
        except MissingServiceError as error:
            missing += 1
            print(f"{name}: missing: {error}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
