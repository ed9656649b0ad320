"""What a user writes for the ``file_storage`` extension; keys are the OpenTelemetry Collector's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from provtel_model.settings import NO_EFFECT, Duration

_DEFAULT_DIRECTORY: Final = "/var/lib/otelcol/file_storage"
_ALL_PERMISSIONS: Final = 0o777
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class CompactionConfig:
    """When the file gives the room of what was removed back to the disk.

    Args:
        on_start: At each start.
        on_rebound: While it runs, when a file that had grown is almost empty again.
        directory: Where the compact copy is made, on the file system of the file; by default beside it.
        rebound_needed_threshold_mib: From which size on a file counts as grown.
        rebound_trigger_threshold_mib: Below how much in use it counts as almost empty.
        max_transaction_size: Has no effect: LMDB copies in one go.
        check_interval: How often to look.
        cleanup_on_start: Remove what an earlier compaction left that was killed.
    """

    on_start: bool = False
    on_rebound: bool = False
    directory: str = ""
    rebound_needed_threshold_mib: int = 100
    rebound_trigger_threshold_mib: int = 10
    max_transaction_size: int = field(default=65536, metadata=NO_EFFECT)
    check_interval: Duration = Duration(5)
    cleanup_on_start: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ValueError: A number is out of its range.
        """
        if self.max_transaction_size < 0:
            raise ValueError("max transaction size for compaction cannot be less than 0")
        if self.on_rebound and self.check_interval <= 0:
            raise ValueError("compaction check interval must be positive when rebound compaction is set")


@dataclass(frozen=True, slots=True)
class FileStorageConfig:
    """The ``file_storage`` extension.

    Args:
        directory: Where the file is.
        timeout: How long to wait for another process that uses the directory.
        max_size: The most bytes that may be in use; 0 is no limit.
        compaction: When room is given back.
        fsync: What was kept survives a crash of the machine, not only of the process.
        create_directory: Make the directory where it is missing.
        directory_permissions: The permissions of a directory that is made.
        recreate: Put a file that is damaged aside and begin a new one, instead of refusing to start.
    """

    directory: str = _DEFAULT_DIRECTORY
    timeout: Duration = Duration(1)
    max_size: int = 0
    compaction: CompactionConfig = field(default_factory=CompactionConfig)
    fsync: bool = True
    create_directory: bool = False
    directory_permissions: str = "0700"
    recreate: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            ValueError: A number is out of its range.
        """
        if self.max_size < 0:
            raise ValueError("max size cannot be less than 0")
        if self.max_size and self.compaction.on_rebound:
            for name in ("needed", "trigger"):
                if getattr(self.compaction, f"rebound_{name}_threshold_mib") * _MIB > self.max_size:
                    raise ValueError(f"compaction rebound {name} threshold cannot be greater than max size")
        if self.create_directory and not 0 <= self.permissions <= _ALL_PERMISSIONS:
            raise ValueError("directory_permissions contain invalid bits for file access")

    @property
    def permissions(self) -> int:
        """The permissions as a number.

        Raises:
            ValueError: They are none.
        """
        try:
            return int(self.directory_permissions, 8)
        except ValueError:
            raise ValueError("directory_permissions value must be a valid octal representation") from None
