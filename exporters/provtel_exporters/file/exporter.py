"""The ``file`` exporter."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model.errors import ConfigError, MalformedError, PermanentError
from provtel_model.otlp.decode import attributes_of
from provtel_model.otlp.json_codec import to_json
from provtel_model.otlp.pieces import merge
from provtel_model.otlp.regroup import by_resource

from provtel_exporters.file.durable import DurableFile
from provtel_exporters.file.grouping import FilesByValue
from provtel_exporters.file.rotation import Rotation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provtel_model.components import Batch, Context

    from provtel_exporters.file.config import FileConfig

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LENGTH: Final = struct.Struct(">I")


class FileExporter:
    """Writes each request to a file, and returns when it is on the disk.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: FileConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._file = self._make_file(Path(config.path), config.append)
        group_by = config.group_by
        self._files = (
            FilesByValue(config.path, group_by.max_open_files, config.permissions, self._make_file)
            if group_by.enabled
            else None
        )

    def start(self) -> None:
        """Open the file, or see that the folder of the files can be written.

        Raises:
            ConfigError: It cannot be written.
        """
        file = Path(self._config.path.partition("*")[0] + "x") if self._files else Path(self._config.path)
        try:
            if self._config.create_directory or self._files:
                file.parent.mkdir(self._config.permissions, parents=True, exist_ok=True)
            if not self._files:
                self._file.open()
        except OSError as error:
            path = f"exporters::{self._context.id}::path"
            raise ConfigError(f"{self._config.path} cannot be written: {error.strerror or error}", path) from error

    def shutdown(self) -> None:
        """Close the file."""
        self._file.close()
        if self._files:
            self._files.close()

    def consume(self, batch: Batch) -> None:
        """Write a request; return when it is on the disk.

        Raises:
            RetryableError: It is not: the disk is full, for example.
            PermanentError: It is no request.
        """
        if self._files is None:
            self._file.write(self._written(batch))
            return
        groups = list(self._grouped(batch))
        for value, _ in groups:  # first, so that nothing is written of a batch that is refused for good
            self._files.check(value)
        for value, part in groups:
            self._files.write(value, self._written(part))

    def _make_file(self, path: Path, append: bool) -> DurableFile:  # noqa: FBT001  # called by position
        rotation = Rotation(self._config.rotation) if self._config.rotation else None
        separator = b"" if self._config.framed else b"\n"
        go_on = append or self._config.append or rotation is not None
        return DurableFile(path, append=go_on, separator=separator, rotation=rotation)

    def _grouped(self, batch: Batch) -> Iterator[tuple[str, Batch]]:
        """Yield what each file gets of a batch; what none gets is counted."""
        wanted = self._config.group_by.resource_attribute
        groups: dict[str, list[Batch]] = {}
        for resource, part in by_resource(batch):
            value = attributes_of(resource.attributes).get(wanted)
            if isinstance(value, str):
                groups.setdefault(value, []).append(part)
            else:
                self._context.report("exporter_file_ungrouped_items", part.items, {})
        yield from ((value, merge(parts)) for value, parts in groups.items())

    def _written(self, batch: Batch) -> bytes:
        content = batch.payload
        if self._config.format == "json":
            try:
                content = to_json(batch.signal, content)
            except MalformedError as error:
                raise PermanentError(str(error)) from error
        if self._config.compression:
            level = self._config.compression_params.level
            content = zstd.compress(content, level) if level else zstd.compress(content)
        return _LENGTH.pack(len(content)) + content if self._config.framed else content + b"\n"
