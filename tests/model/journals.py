"""A writer of journals for the tests of the reader: frame by frame, with every liberty to be torn, late or foreign."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

from provtel_model.journal.layout import (
    FRAME_HEADER,
    LOCK_FILE,
    SEGMENT_HEADER,
    Kind,
    ProcessFacts,
    Status,
    pack,
    pack_segment_header,
    segment_name,
)
from provtel_model.journal.liveness import boot_id, host_name, try_lock

TRACE = bytes(range(16))
START_TIME = 1_700_000_000_000_000_000
PREALLOCATED = 4096


class JournalFile:
    """A journal that a test writes; its writer lives until `die`."""

    def __init__(
        self, store: Path, *, endpoint: str | None = None, boot: str | None = None, host: str | None = None
    ) -> None:
        """Make the folder, take the lock and write the first segment."""
        self.process = ProcessFacts(
            {"host.name": "node7", "process.pid": 42, "mpi.rank": 3},
            "1.2.3",
            42,
            1,
            boot or boot_id(),
            host or host_name(),
            endpoint=endpoint,
        )
        self.folder = store / "journal" / f"node7-{store.name}"
        self.folder.mkdir(parents=True)
        self._lock = os.open(self.folder / LOCK_FILE, os.O_RDWR | os.O_CREAT)
        assert try_lock(self._lock)
        self._number = 0
        self.rotate()

    def rotate(self) -> None:
        """Begin the next segment, preallocated with zeros."""
        self._number += 1
        self.path = self.folder / segment_name(self._number)
        self._position = SEGMENT_HEADER.size
        self.path.write_bytes(pack_segment_header(self._number) + bytes(PREALLOCATED))
        self.append_payload(self.process.to_payload())
        self.append(Kind.DEFINITION, 7, ["x", "y"], ["z"], {"kind": "task", "name": "step", "tags": ["static"]})
        self.append(Kind.CONTEXT, 9, {"workflow_id": "w-1", "workflow_name": "sweep"})

    def append(self, kind: Kind, *items: Any) -> None:
        """Append a frame."""
        self.append_payload(pack([kind.value, *items]))

    def append_payload(self, payload: bytes, *, crc: int | None = None) -> None:
        """Append a frame by its payload, with a false CRC where one is given."""
        frame = FRAME_HEADER.pack(len(payload), zlib.crc32(payload) if crc is None else crc) + payload
        with self.path.open("r+b") as file:
            file.seek(self._position)
            file.write(frame)
        self._position += len(frame)

    def start(
        self, span: int, used: Any = None, *, parent: int | None = None, facts: dict[str, Any] | None = None
    ) -> None:
        """Append a start; it starts `span` nanoseconds after the beginning of time."""
        items = [7, 9, TRACE, span, parent, START_TIME + span, used]
        self.append(Kind.START, *items, *([facts] if facts else []))

    def end(
        self, span: int, generated: Any = None, *, status: Status = Status.FINISHED, facts: dict[str, Any] | None = None
    ) -> None:
        """Append an end, a microsecond after the start."""
        items = [span, START_TIME + span + 1000, status.value, generated, 0.25, 0.5]
        self.append(Kind.END, *items, *([facts] if facts else []))

    def task(self, span: int) -> None:
        """Append a start and its end."""
        self.start(span, [span, "b"])
        self.end(span, [span * 2])

    def die(self) -> None:
        """Let the lock go, as the kernel does for a process that is gone; once is enough."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
