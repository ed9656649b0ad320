"""Questions about where things came from, over many records: by a predicate, by who is responsible, across borders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from provtel_model.aggregation import first_value
from provtel_model.attributes import VCS_REF_HEAD_REVISION
from provtel_model.fields import check_field, with_computed
from provtel_model.filters import Query

from provtel_query.flow import Flow
from provtel_query.joined import JoinedReader
from provtel_query.lineage import Direction, Start, trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provtel_model.anyvalue import AnyValue
    from provtel_model.record import Agent, Plan, Record

    from provtel_query.flow import Origin
    from provtel_query.store import Store


class Responsibility(NamedTuple):
    """Who is responsible for a datum.

    Args:
        record: The activity that generated it, or the one around it that says who acted.
        agents: Who acted, then on whose behalf, and so on.
        plan: The code that ran.
        revision: The revision of the repository that it was in.
    """

    record: Record
    agents: list[Agent]
    plan: Plan | None
    revision: str | None


class Crossing(NamedTuple):
    """A datum that was generated on one side of a border, and used on the other."""

    user: Record
    origin: Origin
    sides: tuple[AnyValue, AnyValue]


def descended_from(store: Store, upstream: Mapping[str, Any], where: Mapping[str, Any] | None = None) -> list[Record]:
    """Return the activities that match a filter and that anything matching another came into, directly or not.

    Args:
        store: The store.
        upstream: What must lie upstream: ``{"name": "align", "used.model": 12}``.
        where: What is asked for: ``{"name": "average"}``.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
    """
    wanted = Query(where or {})
    sources = store.records(upstream, sort="started_at")
    found = trace(Flow(store.reader), [Start(generator=record) for record in sources], Direction.DOWNSTREAM)
    used_something = {usage.activity for usage in found.usages if not usage.passed_on}
    records = [record for record in found.activities.values() if record.id in used_something]
    return sorted((record for record in records if wanted.matches(record.plain)), key=_age)


def responsible(store: Store, target: object) -> list[Responsibility]:
    """Return who is responsible for something, for each activity that generated it.

    Args:
        store: The store.
        target: What `Store.lineage` takes.

    Raises:
        UserError: Nothing in the store is meant by the target.
    """
    found = store.lineage(target, depth=1).without_data()
    return [_responsibility(store, found.activities[root]) for root in found.roots]


def crossings(
    store: Store, border: str = "host", where: Mapping[str, Any] | None = None, *, also: Sequence[Store] = ()
) -> list[Crossing]:
    """Return the uses of data that were generated elsewhere: on another host, in another campaign, in another run.

    Args:
        store: The store.
        border: The field that says which side an activity is on: ``host``, ``campaign_id``, ``run``.
        where: Only users that match.
        also: Other stores to look in, on both sides.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
    """
    check_field(border)
    reader = JoinedReader([store.reader, *(other.reader for other in also)])
    users = reader.find(Query(where or {}, sort=(("started_at", 1),)))
    flow = Flow(reader)
    flow.prepare_origins(users)
    every = (
        Crossing(user, origin, (_side(origin.record, border), _side(user, border)))
        for user in users
        for role in user.plain.get("used", {})
        for origin in flow.origins(user, role)
    )
    return [crossing for crossing in every if None not in crossing.sides and crossing.sides[0] != crossing.sides[1]]


def _responsibility(store: Store, record: Record) -> Responsibility:
    around = (record, *store.reader.ancestors(record.id))
    acted = next((one for one in around if one.agent), record)
    agents: dict[str | None, Agent] = {}
    agent = acted.agent
    while agent and agent.id not in agents:
        agents[agent.id] = agent
        agent = _agent(store, agent.acted_on_behalf_of) if agent.acted_on_behalf_of else None
    revision = record.plain.get("resource", {}).get(VCS_REF_HEAD_REVISION)
    return Responsibility(acted, list(agents.values()), record.plan, revision if isinstance(revision, str) else None)


def _agent(store: Store, identity: str) -> Agent:
    from provtel_model.record import Agent

    known = store.records({"agent.id": identity}, limit=1)
    return (known[0].agent if known else None) or Agent(id=identity)


def _side(record: Record, border: str) -> AnyValue:
    return first_value(with_computed(record.plain), border)


def _age(record: Record) -> tuple[int, str]:
    return record.plain["started_at"], record.id
