"""What a member of a consumer group says to Redis, in the words of Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoPermissionError, ResponseError

from provtel_collector.receivers.redis.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOOKS: Final = 100
_NEVER: Final = "0-0"
# In one step, because a member that wakes up in between would lose what it was given.
_FORGET: Final = """
local gone = 0
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local member = {}
  for place = 1, #flat, 2 do member[flat[place]] = flat[place + 1] end
  local wanted = ARGV[2] == '' or member['name'] == ARGV[2]
  if wanted and member['pending'] == 0 and member['idle'] >= tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], member['name'])
    gone = gone + 1
  end
end
return gone
"""


class Group:
    """One member's view of one stream; may be used from several threads.

    Every method raises a ``RedisError`` where the server does not do what it is asked to.

    Args:
        client: The client of Redis, whose answers are as the server gives them.
        stream: The stream.
        name: The group.
        member: The name of this member.
    """

    def __init__(self, client: Any, stream: str, name: str, member: str) -> None:
        self._client = client
        self._stream = stream
        self._name = name
        self._member = member

    def ensure(self, begin: str) -> None:
        """Make the group, and the stream, where they are not there.

        Args:
            begin: The id after which a new group begins.
        """
        try:
            self._client.execute_command("XGROUP", "CREATE", self._stream, self._name, begin, "MKSTREAM")
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def read(self, most: int, wait_ms: int) -> list[Entry]:
        """Return new entries, which are this member's from now on; wait for them where there are none."""
        group = ("GROUP", self._name, self._member)
        waiting = ("COUNT", most, "BLOCK", wait_ms)
        answer = self._client.execute_command("XREADGROUP", *group, *waiting, "STREAMS", self._stream, ">")
        return [Entry.of(found) for found in answer[0][1]] if answer else []

    def claim(self, idle_ms: int) -> tuple[Entry | None, list[str]]:
        """Return an entry that no member has given a sign of for so long, and is this one's from now on.

        Returns:
            The entry, if there is one, and the ids of those that are gone from the stream.
        """
        cursor: str | bytes = _NEVER
        gone: list[str] = []
        for _ in range(_LOOKS):
            asked = ("XAUTOCLAIM", self._stream, self._name, self._member, idle_ms, cursor, "COUNT", 1)
            cursor, found, *rest = self._client.execute_command(*asked)
            gone += [id_.decode() for id_ in (rest[0] if rest else ())]
            # Redis 6.2 has nothing in the place of one that is gone.
            there = [one for one in found if one is not None]
            if there:
                return Entry.of(there[0]), gone
            if cursor == _NEVER.encode():
                break
        return None, gone

    def deliveries(self, id_: str) -> int:
        """Return how often an entry was given to members."""
        answer = self._client.execute_command("XPENDING", self._stream, self._name, id_, id_, 1)
        return int(answer[0][3]) if answer else 0

    def keep(self, ids: Sequence[str]) -> None:
        """Give a sign that entries are in this member's hands."""
        if ids:
            self._client.execute_command("XCLAIM", self._stream, self._name, self._member, 0, *ids, "JUSTID")

    def acknowledge(self, id_: str) -> None:
        """Say that an entry is done."""
        self._client.execute_command("XACK", self._stream, self._name, id_)

    def lag(self) -> float:
        """Return how many entries the group has not acknowledged, as far as the server knows it."""
        for group in self._groups():
            if group[b"name"] == self._name.encode():
                return float(group[b"pending"] + (group.get(b"lag") or 0))
        return 0.0

    def trim(self, retention_ms: int) -> None:
        """Remove what every group has acknowledged, and is as old as that."""
        first = min((self._first_wanted(group) for group in self._groups()), default=(0, 0))
        if retention_ms:
            seconds, microseconds = self._client.execute_command("TIME")
            oldest = int(seconds) * 1000 + int(microseconds) // 1000 - retention_ms
            first = min(first, (max(0, oldest), 0))
        if first > (0, 0):
            self._client.execute_command("XTRIM", self._stream, "MINID", f"{first[0]}-{first[1]}")

    def _first_wanted(self, group: dict[bytes, Any]) -> tuple[int, int]:
        """Return the first id that a group has not acknowledged."""
        if group[b"pending"]:
            first = self._client.execute_command("XPENDING", self._stream, group[b"name"])[1]
            if first is not None:
                return _numbers(first)
        time, sequence = _numbers(group[b"last-delivered-id"])
        return time, sequence + 1

    def _groups(self) -> list[dict[bytes, Any]]:
        answer = self._client.execute_command("XINFO", "GROUPS", self._stream)
        return [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in answer]

    def forget(self, idle_ms: int) -> None:
        """Let the group forget members that have nothing in hand, and gave no sign of life for so long."""
        self._forget("", idle_ms)

    def leave(self) -> None:
        """Let the group forget this member, if it has nothing in hand."""
        self._forget(self._member, 0)

    def _forget(self, member: str, idle_ms: int) -> None:
        try:
            self._client.execute_command("EVAL", _FORGET, 1, self._stream, self._name, member, idle_ms)
        except NoPermissionError:
            # Names that stay behind do no harm.
            return


def _numbers(id_: bytes) -> tuple[int, int]:
    time, _, sequence = id_.partition(b"-")
    return int(time), int(sequence)
