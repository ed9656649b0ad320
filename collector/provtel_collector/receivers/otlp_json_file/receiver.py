"""The ``otlp_json_file`` receiver."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Final

from provtel_model import attributes as names
from provtel_model.components import Batch, Signal, Storage
from provtel_model.errors import ConfigError, DeliveryError, MalformedError, PermanentError, RetryableError
from provtel_model.otlp import check
from provtel_model.otlp.json_codec import from_json, signal_of_json

from provtel_collector.attribute_lists import put
from provtel_collector.delivery import over
from provtel_collector.receivers.otlp_json_file.following import Files
from provtel_collector.requests import parse, walk

if TYPE_CHECKING:
    from pathlib import Path

    from provtel_model.components import Context

    from provtel_collector.receivers.otlp_json_file.config import OtlpJsonFileConfig
    from provtel_collector.receivers.otlp_json_file.following import Followed

_log = logging.getLogger(__name__)

# Less than the time in which the process is to stop.
_STOP_SECONDS: Final = 10.0


class OtlpJsonFileReceiver:
    """Follows files, and goes on behind a line when what it has was taken.

    What is refused for now is tried again at the next look; what is no OTLP, or is refused for good, is told, counted
    and passed over. Lines of signals without a way on are passed over.

    Args:
        config: What the user wrote.
        context: Where it stands.
    """

    def __init__(self, config: OtlpJsonFileConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._next = {signal: over(consumer, "file") for signal, consumer in context.next.items()}
        self._files = Files(config)
        self._refused = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name=f"provtel-{context.id}", daemon=True)

    def start(self) -> None:
        """Take up what is remembered, and begin to look.

        Raises:
            ConfigError: The storage is none.
        """
        if self._config.storage:
            storage: object = self._context.extensions.get(self._config.storage)
            if not isinstance(storage, Storage):
                message = f'references extension "{self._config.storage}" which is no storage that runs'
                raise ConfigError(message, f"receivers::{self._context.id}::storage")
            self._files.recall(storage.shelf(f"receiver {self._context.id}"))
        self._thread.start()

    def shutdown(self) -> None:
        """Stop after the line that is being given on, or after a while: it comes again then."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        if not self._thread.is_alive():
            self._files.close()

    def _poll(self) -> None:
        while True:
            try:
                self._read_all()
            except Exception:  # noqa: BLE001  # whatever it was, the next look may be better
                _log.exception("%s: the files cannot be read", self._context.id)
            if self._stopping.wait(self._config.poll_interval):
                return

    def _read_all(self) -> None:
        for followed in self._files.look():
            before = followed.offset
            try:
                self._read(followed)
            except DeliveryError as error:
                self._tell(f"{followed.path}: not taken, and tried again: {error}")
            else:
                self._refused = ""
                self._finish(followed)
            finally:
                if followed.offset != before:
                    self._save()
            if self._stopping.is_set():
                return

    def _read(self, followed: Followed) -> None:
        for line, end in followed.lines(self._config.max_log_size):
            if self._stopping.is_set():
                raise RetryableError("the collector is stopping")
            if line is None:
                self._pass_over(followed, "a line is longer than max_log_size")
            elif line.strip():
                self._take(followed, line)
            followed.offset = end
        if _is_whole(followed.tail):
            self._take(followed, followed.tail)
            followed.offset += len(followed.tail)

    def _take(self, followed: Followed, line: bytes) -> None:
        try:
            signal = signal_of_json(line)
            if signal not in self._next:
                return
            batch = self._named(check(signal, from_json(signal, line)), followed.path)
            if batch.items:
                self._next[signal].consume(batch)
        except (MalformedError, PermanentError) as error:
            self._pass_over(followed, str(error))

    def _named(self, batch: Batch, path: Path) -> Batch:
        """Return a batch whose items say which file they come from, where that is wanted."""
        wanted = {names.LOG_FILE_NAME: path.name} if self._config.include_file_name else {}
        if self._config.include_file_path:
            wanted[names.LOG_FILE_PATH] = str(path)
        if not wanted:
            return batch
        request = parse(batch)
        for _, _, item in walk(batch.signal, request):
            for name, value in wanted.items():
                put(item.metadata if batch.signal is Signal.METRICS else item.attributes, name).string_value = value
        return Batch(batch.signal, request.SerializeToString(), batch.items)

    def _finish(self, followed: Followed) -> None:
        if self._config.delete_after_read:
            followed.path.unlink(missing_ok=True)
        self._files.leave(followed)

    def _save(self) -> None:
        try:
            self._files.save()
        except RetryableError as error:
            self._tell(f"how far the files were read cannot be kept: {error}")

    def _pass_over(self, followed: Followed, reason: str) -> None:
        self._context.report("receiver_otlp_json_file_malformed_lines", 1, {})
        _log.error("%s: %s: the line behind byte %d is passed over: %s", self._context.id, *_place(followed), reason)

    def _tell(self, text: str) -> None:
        """Log what is the matter, once for as long as it stays the same."""
        if self._refused != text:
            _log.warning("%s: %s", self._context.id, text)
        self._refused = text


def _is_whole(tail: bytes) -> bool:
    """Say whether what has no end of a line is a line all the same: half an object is none."""
    try:
        return tail.rstrip().endswith(b"}") and isinstance(json.loads(tail), dict)
    except (ValueError, RecursionError):
        return False


def _place(followed: Followed) -> tuple[Path, int]:
    return followed.path, followed.offset
