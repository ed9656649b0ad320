"""`agent` and `campaign`: what holds for every activity that starts in a block of code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from provtel import notices
from provtel.otel_context import RUN_KEY, attach, current, detach, with_entries
from provtel.recording import recorder
from provtel.surroundings import run_in

if TYPE_CHECKING:
    from provtel_model.record import PlainAgent

    from provtel.run import Run


class _Surroundings(ABC):
    """Changes the run for what starts in a block of code; the same one may be entered many times."""

    def __init__(self) -> None:
        """Change nothing yet."""
        self._tokens: list[object] = []

    def __enter__(self) -> Self:
        recorder()  # it finds out what surrounds this process
        context = current()
        run = run_in(context)
        try:
            run = self.applied_to(run)
        except Exception as error:  # noqa: BLE001  # the program goes on whatever went wrong
            notices.capture_failed("an agent or a campaign", error)
        self._tokens.append(attach(with_entries(context, {RUN_KEY: run})))
        return self

    def __exit__(self, *_: object) -> None:
        """Make current what was current before."""
        detach(self._tokens.pop())

    @abstractmethod
    def applied_to(self, run: Run) -> Run:
        """Return a run that has it too."""


class Agent(_Surroundings):
    """Who acts: a person, a program, a model.

    Args:
        facts: The fields of the record.
    """

    def __init__(self, facts: PlainAgent) -> None:
        """Keep the facts; nothing is recorded before it acts."""
        super().__init__()
        self.facts = facts

    def __eq__(self, other: object) -> bool:
        """Say whether all that is known of them is the same."""
        return isinstance(other, Agent) and self.facts == other.facts

    def __hash__(self) -> int:
        """Return the hash of its id."""
        return hash(self.facts["id"])

    def applied_to(self, run: Run) -> Run:
        """Return a run in which it acts."""
        return run.of_agent(self.facts)


class Campaign(_Surroundings):
    """What several workflows belong to.

    Args:
        name: Its name, which is its id.
    """

    def __init__(self, name: str) -> None:
        """Keep the name."""
        super().__init__()
        self.name = name

    def applied_to(self, run: Run) -> Run:
        """Return a run that belongs to it."""
        return run.of_campaign(self.name)


def agent(
    id: str,  # noqa: A002  # what it is called everywhere else
    /,
    *,
    name: str | None = None,
    type: str | None = None,  # noqa: A002  # as above
    on_behalf_of: str | Agent | None = None,
) -> Agent:
    """Say who acts.

    In ``with agent("anna"):`` it acts in all that starts inside; ``agent=`` of a task or workflow takes it too.

    Args:
        id: What tells the agent from all others; a name will do.
        name: What people call it, where that is something else.
        type: What it is, in a word of yours: ``person``, ``software``, ``model``.
        on_behalf_of: The id of the agent that it acts for, or that agent.
    """
    for_whom = on_behalf_of.facts.get("id") if isinstance(on_behalf_of, Agent) else on_behalf_of
    facts: PlainAgent = {"id": id}
    if name is not None:
        facts["name"] = name
    if type is not None:
        facts["type"] = type
    if for_whom is not None:
        facts["acted_on_behalf_of"] = for_whom
    return Agent(facts)


def as_agent(given: str | Agent | None) -> Agent | None:
    """Return the agent of an argument ``agent=``."""
    return agent(given) if isinstance(given, str) else given


def campaign(name: str, /) -> Campaign:
    """Say what a number of workflows and tasks belong to: those that start inside of its ``with``.

    It is no activity of its own: several programs, on several days, may belong to one campaign.

    Args:
        name: Its name, which is its id.
    """
    return Campaign(name)
