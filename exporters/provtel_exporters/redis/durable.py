"""Waits until replicas and disks have what was written, where a user asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import RetryableError
from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from provtel_exporters.redis.config import Durability

# The wait ends before the answer would be given up.
_SHARE: Final = 0.8
_LOOK_MS: Final = 100


class Durable:
    """Asks for what `Durability` says, and judges the answers; may be used from several threads.

    After a failure, and at the start, it looks whether the condition can hold before an entry is written: else each
    attempt would leave one more copy in the stream.

    Args:
        wanted: What must hold.
        timeout: Seconds that writing may take.
    """

    def __init__(self, wanted: Durability, timeout: float) -> None:
        self._wanted = wanted
        self._wait_ms = max(1, int(timeout * _SHARE * 1000))
        self._doubtful = True

    def doubt(self) -> None:
        """Look again before the next entry is written."""
        self._doubtful = True

    def check(self, client: Any) -> None:
        """Return when nothing speaks against it that the condition will hold.

        Raises:
            RetryableError: Replicas are missing, or the server cannot say what is on disks.
            RedisError: It does not answer.
        """
        if not self._doubtful:
            return
        try:
            answers: list[Any] = [client.execute_command(*command) for command in self._commands(_LOOK_MS)]
        except ResponseError as error:
            raise RetryableError(_why_not(error)) from error
        self.judge(answers)

    def ask(self, line: Any) -> None:
        """Put the questions behind what a pipeline writes."""
        for command in self._commands(self._wait_ms):
            line.execute_command(*command)

    def judge(self, answers: list[Any]) -> None:
        """Return where the last answers say that the condition holds.

        Raises:
            RetryableError: They say that it does not.
        """
        wanted = self._wanted
        self.doubt()
        if wanted.asks_for_disks:
            own, others = answers.pop()
            if own < wanted.fsync:
                raise RetryableError("the server does not have it on its disk yet")
            _enough(others, wanted.replicas_fsync, "have it on their disks")
        if wanted.replicas:
            _enough(answers.pop(), wanted.replicas, "have it")
        self._doubtful = False

    def _commands(self, wait_ms: int) -> list[tuple[str | int, ...]]:
        wanted = self._wanted
        commands: list[tuple[str | int, ...]] = []
        if wanted.replicas:
            commands.append(("WAIT", wanted.replicas, wait_ms))
        if wanted.asks_for_disks:
            commands.append(("WAITAOF", int(wanted.fsync), wanted.replicas_fsync, wait_ms))
        return commands


def _enough(have: int, wanted: int, what: str) -> None:
    if have < wanted:
        raise RetryableError(f"{have} of {wanted} replicas {what}")


def _why_not(error: ResponseError) -> str:
    if "unknown command" in str(error):
        return (
            "durability::fsync and ::replicas_fsync need Redis 7.2 or newer, and this server is older; leave them out, "
            "and set appendfsync always there"
        )
    return f"durability cannot be had: {error}"
