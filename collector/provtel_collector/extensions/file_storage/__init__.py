"""The ``file_storage`` extension: keeps queues on the disk, in LMDB."""

from __future__ import annotations

from typing import Final

from provtel_model.components import Factory

from provtel_collector.extensions.file_storage.config import FileStorageConfig
from provtel_collector.extensions.file_storage.extension import FileStorage

factory: Final = Factory("file_storage", FileStorageConfig, FileStorage)
