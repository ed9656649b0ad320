"""What a user writes for the ``file`` exporter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from provtel_model.settings import NO_EFFECT, Duration

_MOST_MODE: Final = 0o777
_MOST_LEVEL: Final = 22


@dataclass(frozen=True, slots=True)
class RotationConfig:
    """When a file is put aside and a new one begun.

    Args:
        max_megabytes: From how many MiB on; 0 is 100.
        max_days: After how many days a file that was put aside is removed; 0 is never.
        max_backups: How many of these are kept; 0 is all.
        localtime: Their names tell the local time, not that of Greenwich.
    """

    max_megabytes: int = 0
    max_days: int = 0
    max_backups: int = 100
    localtime: bool = False

    def __post_init__(self) -> None:
        """Refuse less than nothing.

        Raises:
            ValueError: It is asked for.
        """
        if min(self.max_megabytes, self.max_days, self.max_backups) < 0:
            raise ValueError("max_megabytes, max_days and max_backups must not be negative")


@dataclass(frozen=True, slots=True)
class CompressionParamsConfig:
    """How much is compressed.

    Args:
        level: The level of zstd, 1 to 22; 0 is its default.
    """

    level: int = 0

    def __post_init__(self) -> None:
        """Refuse a level that there is not.

        Raises:
            ValueError: There is none.
        """
        if not 0 <= self.level <= _MOST_LEVEL:
            raise ValueError(f"unsupported parameters {{Level:{self.level}}} for compression type zstd")


@dataclass(frozen=True, slots=True)
class GroupByConfig:
    """One file for each value of a resource attribute, in place of one for all.

    Args:
        enabled: It is so; the path has one star then, in whose place the value comes.
        resource_attribute: The attribute; what has none, or one that is no text, is dropped and counted.
        max_open_files: The most files that are open at once.
    """

    enabled: bool = False
    resource_attribute: str = "fileexporter.path_segment"
    max_open_files: int = 100

    def __post_init__(self) -> None:
        """Refuse to group by nothing, or into no file.

        Raises:
            ValueError: It is asked for.
        """
        if self.enabled and not self.resource_attribute:
            raise ValueError("resource_attribute must not be empty when group_by is enabled")
        if self.max_open_files < 1:
            raise ValueError("max_open_files must be positive")


@dataclass(frozen=True, slots=True)
class FileConfig:
    """The ``file`` exporter.

    Args:
        path: The file.
        append: Go on at the end of a file that is there; without, it is emptied at start.
        rotation: When the file is put aside; without, never.
        format: ``json``, a request a line, or ``proto``, each with its length before it.
        compression: ``zstd`` compresses each request; its length stands before it.
        compression_params: How much is compressed.
        flush_interval: Accepted, and of no effect: every request is on the disk when its sender is answered.
        create_directory: Make the folder of the file where it is missing.
        directory_permissions: The permissions of a folder that is made, octal.
        group_by: One file for each value of a resource attribute.
    """

    path: str = ""
    append: bool = False
    rotation: RotationConfig | None = None
    format: Literal["json", "proto"] = "json"
    compression: Literal["", "zstd"] = ""
    compression_params: CompressionParamsConfig = field(default_factory=CompressionParamsConfig)
    flush_interval: Duration = field(default=Duration(1), metadata=NO_EFFECT)
    create_directory: bool = False
    directory_permissions: str = ""
    group_by: GroupByConfig = field(default_factory=GroupByConfig)

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, in the OpenTelemetry Collector's words.

        Raises:
            ValueError: It does.
        """
        if not self.path:
            raise ValueError("path must be non-empty")
        if self.group_by.enabled and self.path.count("*") != 1:
            raise ValueError("path must contain exactly one * when group_by is enabled")
        if self.group_by.enabled and self.path.startswith("*"):
            raise ValueError("path must not start with * when group_by is enabled")
        if self.append and self.rotation is not None:
            raise ValueError("append and rotation enabled at the same time is not supported")
        if self.directory_permissions and not self.create_directory:
            raise ValueError("directory_permissions requires create_directory to be true")
        if not 0 <= self.permissions <= _MOST_MODE:
            raise ValueError("directory_permissions contain invalid bits for file access")

    def location(self) -> str:
        """Return the file."""
        return self.path

    @property
    def permissions(self) -> int:
        """The permissions of a folder that is made.

        Raises:
            ValueError: They are not octal.
        """
        try:
            return int(self.directory_permissions or "755", 8)
        except ValueError:
            raise ValueError("directory_permissions value must be a valid octal representation") from None

    @property
    def framed(self) -> bool:
        """Whether each request has its length before it, in place of the end of a line behind it."""
        return self.format == "proto" or bool(self.compression)
