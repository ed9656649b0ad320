"""The ``file`` exporter."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provtel_model.errors import ConfigError, MalformedError, PermanentError
from provtel_model.otlp.json_codec import to_json

from provtel_exporters.file.durable import DurableFile
from provtel_exporters.file.rotation import Rotation

if TYPE_CHECKING:
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
        self._path = f"exporters::{context.id}::path"
        rotation = Rotation(config.rotation) if config.rotation else None
        self._file = DurableFile(
            Path(config.path),
            append=config.append or rotation is not None,
            separator=b"" if config.framed else b"\n",
            rotation=rotation,
        )

    def start(self) -> None:
        """Open the file.

        Raises:
            ConfigError: It cannot be written.
        """
        file = Path(self._config.path)
        try:
            if self._config.create_directory:
                file.parent.mkdir(self._config.permissions, parents=True, exist_ok=True)
            self._file.open()
        except OSError as error:
            raise ConfigError(f"{file} cannot be written: {error.strerror or error}", self._path) from error

    def shutdown(self) -> None:
        """Close the file."""
        self._file.close()

    def consume(self, batch: Batch) -> None:
        """Write a request; return when it is on the disk.

        Raises:
            RetryableError: It is not: the disk is full, for example.
            PermanentError: It is no request.
        """
        self._file.write(self._written(batch))

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
