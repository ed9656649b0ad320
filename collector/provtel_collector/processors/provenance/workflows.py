"""Which workflow an activity belongs to, where it does not say it: the one of its nearest parent that does."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provtel_model import attributes as names
from provtel_model.record import record_id

from provtel_collector.attribute_lists import put

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provtel_collector.processors.provenance.activities import Activity

_KIND: Final = "workflow"
_MOST_PARENTS: Final = 1000

_Key = tuple[bytes, bytes]


@dataclass(slots=True)
class _Known:
    """What is remembered of an activity: its workflow, or else its parent."""

    workflow: str
    parent: bytes


class Workflows:
    """Remembers the last activities; may be used from several threads.

    Args:
        remembered: How many.
    """

    def __init__(self, remembered: int) -> None:
        self._most = remembered
        self._lock = threading.Lock()
        self._known: OrderedDict[_Key, _Known] = OrderedDict()

    def complete(self, found: Iterable[Activity]) -> int:
        """Put the workflow's id where it is missing and known; return how many got one."""
        lacking = []
        with self._lock:
            for activity in found:
                said = activity.values.get(names.WORKFLOW_ID)
                workflow = _own_id(activity) if said is None else said.string_value
                self._remember((activity.trace_id, activity.span_id), _Known(workflow, activity.parent_id))
                if said is None:
                    lacking.append(activity)
            completed = [activity for activity in lacking if self._complete(activity)]
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return len(completed)

    def _remember(self, key: _Key, known: _Known) -> None:
        before = self._known.pop(key, None)
        self._known[key] = before if before is not None and before.workflow and not known.workflow else known

    def _complete(self, activity: Activity) -> bool:
        key = activity.trace_id, activity.span_id
        for _ in range(_MOST_PARENTS):
            known = self._known.get(key)
            if known is None:
                return False
            if known.workflow:
                put(activity.attributes, names.WORKFLOW_ID).string_value = known.workflow
                self._known[activity.trace_id, activity.span_id].workflow = known.workflow
                return True
            key = activity.trace_id, known.parent
        return False


def _own_id(activity: Activity) -> str:
    """Return the id of the workflow that an activity is; nothing where it is none."""
    kind = activity.values.get(names.PROV_ACTIVITY_TYPE)
    if kind is None or kind.string_value != _KIND:
        return ""
    return record_id(activity.trace_id.hex(), activity.span_id.hex())
