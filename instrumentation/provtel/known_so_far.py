"""What became known of an activity before its end: written with its start once more, for a process that is killed.

Of two starts of one activity the later one counts, so that no reader has to know of this.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from ormsgpack import packb, unpackb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provtel.activity import Activity

_AT_ONCE: Final = 32
_PAUSE: Final = 1.0
_FACTS: Final = 8
_MAPS: Final = ("used", "attributes")


class Told:
    """How often, and when last, it was told what is known of an activity."""

    def __init__(self) -> None:
        """Begin with never."""
        self._times = 0
        self._at = 0.0

    def tell(self, activity: Activity, generated: Mapping[str, Any]) -> None:
        """Write the start again with what is known: 32 times whenever there is more, then once a second at most."""
        self._times += 1
        now = time.monotonic()
        if self._times > _AT_ONCE and now - self._at < _PAUSE:
            return
        self._at = now
        activity.start_payload = _start_with(activity.start_payload, generated, activity.facts)
        activity.recorder.start(activity)


def _start_with(payload: bytes, generated: Mapping[str, Any], facts: Mapping[str, Any]) -> bytes:
    items = unpackb(payload)
    known = items[_FACTS] if len(items) > _FACTS else {}
    # Maps only: those are merged with the end's, which has the same, where lists would add up.
    known.update({name: {**known.get(name, {}), **facts[name]} for name in _MAPS if name in facts})
    if generated:
        known["generated"] = generated
    return packb([*items[:_FACTS], known])
