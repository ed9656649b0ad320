"""Record what a computation did and what it cost, while it runs.

::

    from provtel import task, workflow, loop


    @task
    def train(lr: float, data): ...


    with workflow("sweep", campaign="paper-7"):
        for lr in loop([0.1, 0.01], name="lr"):
            with task("evaluate", used={"lr": lr}) as t:
                t.generated(loss=0.2)
"""

from __future__ import annotations

from typing import Any

from provtel.activity import Activity
from provtel.activity import running as current
from provtel.agents import Agent, agent, campaign
from provtel.carrying import carry
from provtel.decorators import task, workflow
from provtel.files import file, reference
from provtel.inputs import Output
from provtel.loops import loop
from provtel.past import record
from provtel.version import VERSION

__version__ = VERSION

__all__ = [
    "Activity",
    "Agent",
    "Output",
    "__version__",
    "agent",
    "campaign",
    "carry",
    "configure",
    "connect",
    "current",
    "file",
    "load",
    "loop",
    "record",
    "reference",
    "task",
    "workflow",
]


def configure(**settings: Any) -> None:
    """Set in the program what it records by, before it records anything; later it is told that it comes too late.

    Args:
        **settings: What the reference of settings lists, by name, written as in a file: ``exit_timeout="2s"``.

    Raises:
        TypeError: There is no setting of that name; the message says which is probably meant.
        ValueError: A value cannot be understood; the message says why.
    """
    from provtel import settings as known

    known.configure(**settings)


def load(reference: Any, store: Any = None) -> Any:
    """Return the value that a reference of a record stands for, where its content was kept (setting ``keep_content``).

    Takes what `provtel.content.load` takes, returns and raises what it does.
    """
    from provtel import content

    return content.load(reference, store)


def connect(*args: Any, **kwargs: Any) -> Any:
    """Open a store for reading; what was recorded and not brought into it yet is brought in first.

    Takes what `provtel_query.connect` takes and returns what it returns.
    """
    from importlib.metadata import entry_points

    (opening,) = entry_points(group="provtel.connect")
    return opening.load()(*args, **kwargs)
