"""What is known of this process and the machine it runs on."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
import platform
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from provtel_model import attributes as names
from provtel_model.journal.layout import ProcessFacts
from provtel_model.journal.liveness import boot_id, host_name, process_started

from provtel import preview, settings
from provtel.redaction import REDACTED, Redaction
from provtel.repository import find_repository
from provtel.uncommitted import is_modified
from provtel.version import VERSION

if TYPE_CHECKING:
    from provtel_model.anyvalue import AnyValue

_MAX_ARGUMENTS: Final = 50
_RANK_VARIABLES: Final = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID")
_SIZE_VARIABLES: Final = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
_learned: Final[dict[str, AnyValue]] = {}
_told: Final[dict[str, AnyValue]] = {}
_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "gpfs",
        "lustre",
        "nfs",
        "nfs4",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb3",
        "wekafs",
    }
)


def describe(endpoint: str | None) -> ProcessFacts:
    """Return what the journal says of this process.

    Args:
        endpoint: Where the records are to be sent; without one they are for the store that the journal lies in.
    """
    pid = os.getpid()
    return ProcessFacts(
        resource=_resource(pid),
        version=VERSION,
        pid=pid,
        started=process_started(pid) or 0,
        boot=boot_id(),
        host=host_name(),
        endpoint=endpoint,
    )


def learn(facts: dict[str, AnyValue]) -> bool:
    """Take note of what became known of this process; say whether a journal was made that does not say so.

    Journals that are made from now on do; what the user gave as an attribute holds nevertheless.
    """
    _learned.update(facts)
    return bool(_told) and any(_told.get(name) != value for name, value in facts.items())


def _resource(pid: int) -> dict[str, AnyValue]:
    chosen = settings.current()
    redaction = Redaction(chosen.redact)
    given = _given_attributes(redaction)
    known: dict[str, AnyValue] = {
        names.SERVICE_NAME: _service_name(),
        names.HOST_NAME: host_name(),
        names.PROCESS_PID: pid,
        names.PROCESS_EXECUTABLE_NAME: Path(sys.executable or "python").name,
        names.PROCESS_RUNTIME_NAME: platform.python_implementation().lower(),
        names.PROCESS_RUNTIME_VERSION: platform.python_version(),
        names.TELEMETRY_SDK_NAME: names.SCOPE_NAME,
        names.TELEMETRY_SDK_LANGUAGE: "python",
        names.TELEMETRY_SDK_VERSION: VERSION,
        **given,
    }
    optional: dict[str, Any] = {
        names.PROCESS_CREATION_TIME: _creation_time(pid),
        names.PROCESS_OWNER: _owner(),
        names.PROCESS_COMMAND_ARGS: _command(redaction),
        names.PROCESS_WORKING_DIRECTORY: _working_folder(),
        **_world(),
        names.PROVTEL_SETTINGS: settings.in_force(chosen) or None,
        **_learned,
        **_code(),
    }
    known.update((name, value) for name, value in optional.items() if value is not None and name not in given)
    _told.update(known)
    return {_utf8(name): _utf8(value) if isinstance(value, str) else value for name, value in known.items()}


def _utf8(text: str) -> str:
    """Return a text without what UTF-8 cannot say: names of files and users need not be in it."""
    return text.encode("utf-8", "replace").decode()


def _given_attributes(redaction: Redaction) -> dict[str, AnyValue]:
    pairs = (pair.partition("=") for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    said = {unquote(key.strip()): unquote(value.strip()) for key, mark, value in pairs if mark}
    given: dict[str, AnyValue] = {
        key: REDACTED if redaction.hides(key) else redaction.text(value) for key, value in said.items()
    }
    service = os.environ.get("OTEL_SERVICE_NAME")
    return {**given, names.SERVICE_NAME: service} if service else given


def _service_name() -> str:
    script = Path(sys.argv[0]).stem if getattr(sys, "argv", None) else ""
    return script if script and not script.startswith("-") else "python"


def _creation_time(pid: int) -> str | None:
    with contextlib.suppress(OSError, ValueError, StopIteration):
        started = process_started(pid)
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        boot = next(int(line.split()[1]) for line in lines if line.startswith("btime"))
        if started is not None:
            seconds = boot + started / os.sysconf("SC_CLK_TCK")
            return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")
    return None


def _owner() -> str | None:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    return None


def _command(redaction: Redaction) -> list[AnyValue] | None:
    arguments = [_utf8(argument) for argument in sys.orig_argv[: _MAX_ARGUMENTS + 1]]
    kept = [preview.cut(argument) for argument in redaction.arguments(arguments)]
    return [*kept[:_MAX_ARGUMENTS], *(["…"] if len(kept) > _MAX_ARGUMENTS else [])] or None


def _working_folder() -> str | None:
    with contextlib.suppress(OSError):
        return str(Path.cwd())
    return None


@functools.cache
def _code() -> dict[str, AnyValue]:
    """Return which version of the code runs; a forked child need not find it out again."""
    repository = find_repository()
    if repository is None:
        return {}
    branch, revision = repository.head()
    return {
        names.VCS_REF_HEAD_REVISION: revision,
        names.VCS_REF_HEAD_NAME: branch,
        names.VCS_REPOSITORY_URL_FULL: repository.address(branch),
        names.PROVTEL_VCS_MODIFIED: is_modified(repository, revision) if revision else None,
    }


def _world() -> dict[str, AnyValue]:
    return {names.MPI_RANK: _number(_RANK_VARIABLES), names.MPI_WORLD_SIZE: _number(_SIZE_VARIABLES)}


def _number(variables: tuple[str, ...]) -> int | None:
    for variable in variables:
        with contextlib.suppress(KeyError, ValueError):
            return int(os.environ[variable])
    return None


def on_network_file_system(folder: Path) -> bool:
    """Say whether a folder lies on a file system of another machine, where a file must not be mapped."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        device = folder.stat().st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            about, _, kind = line.partition(" - ")
            if about.split()[2] == wanted:
                return _is_network(kind.split()[0])
    return False


def _is_network(kind: str) -> bool:
    return kind in _NETWORK_FILE_SYSTEMS or kind.startswith("fuse.")
