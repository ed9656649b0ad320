"""`campaign` and `agent`: what holds for every activity that starts inside, and for nothing else."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable

from provtel import agent, campaign, carry, loop, task, workflow
from provtel_model.record import Agent, Record

from tests.instrumentation.programs import Stage

Recorded = Callable[[], list[Record]]


@task
def leaf(x: int) -> int:
    """Do nothing."""
    return x


def campaigns(records: list[Record]) -> list[tuple[str, str | None]]:
    """Return names and campaigns."""
    return [(record.name, record.campaign_id) for record in records]


def agents(records: list[Record]) -> list[tuple[str, str | None]]:
    """Return names and agents' ids."""
    return [(record.name, record.agent.id if record.agent else None) for record in records]


def test_campaign(recorded: Recorded) -> None:
    """Workflows and tasks inside belong to it; those before and after do not."""
    leaf(1)
    with campaign("paper-7"):
        leaf(2)
        with workflow("main"):
            leaf(3)
            with workflow("nested"):
                leaf(4)
        with workflow("own", campaign="paper-8"):
            leaf(5)
    leaf(6)
    records = recorded()

    assert campaigns(records) == [
        ("leaf", None),
        ("leaf", "paper-7"),
        ("main", "paper-7"),
        ("leaf", "paper-7"),
        ("nested", "paper-7"),
        ("leaf", "paper-7"),
        ("own", "paper-8"),
        ("leaf", "paper-8"),
        ("leaf", None),
    ]
    assert {record.kind for record in records} == {"task", "workflow"}


def test_campaign_inside_a_workflow(recorded: Recorded) -> None:
    """A campaign that begins inside a workflow holds for what starts there, which stays in the workflow."""
    with workflow("main") as main, campaign("late"):
        leaf(1)
    records = recorded()

    assert campaigns(records) == [("main", None), ("leaf", "late")]
    assert (records[1].workflow_id, records[1].parent_id) == (main.id, main.id)


def test_agent(recorded: Recorded) -> None:
    """Who acts is in every record inside, with all that is known of the agent; the innermost one counts."""
    lab = agent("lab", type="organisation")
    anna = agent("anna", name="Anna B.", type="person", on_behalf_of=lab)
    with anna, workflow("main"):
        for number in loop(1):
            leaf(number)
        with agent("robot", on_behalf_of="anna"):
            leaf(2)
        leaf(3)
    leaf(4)
    records = recorded()

    assert agents(records) == [
        ("main", "anna"),
        ("item", "anna"),
        ("item", "anna"),
        ("leaf", "anna"),
        ("leaf", "robot"),
        ("leaf", "anna"),
        ("leaf", None),
    ]
    assert records[0].agent == Agent(id="anna", name="Anna B.", type="person", acted_on_behalf_of="lab")
    assert records[4].agent == Agent(id="robot", acted_on_behalf_of="anna")


def test_agent_of_a_task_or_workflow(recorded: Recorded) -> None:
    """`agent=` says it of one task or workflow and of what starts inside, by id or by what `agent` returned."""

    @task(agent=agent("robot", type="software"))
    def act(x: int) -> int:
        return leaf(x)

    act(1)
    act(2)
    leaf(3)
    with workflow("main", agent="anna"), task("step", agent="ben"):
        leaf(4)
    records = recorded()

    assert agents(records) == [
        ("act", "robot"),
        ("leaf", "robot"),
        ("act", "robot"),
        ("leaf", "robot"),
        ("leaf", None),
        ("main", "anna"),
        ("step", "ben"),
        ("leaf", "ben"),
    ]
    assert records[6].workflow_id == records[7].workflow_id == records[5].id


def test_threads_and_coroutines(recorded: Recorded) -> None:
    """A carried function runs in the campaign and for the agent it was carried from; coroutines keep their own."""

    async def act(name: str) -> None:
        with agent(name), campaign(name):
            await asyncio.sleep(0)
            leaf(1)

    async def both() -> None:
        await asyncio.gather(act("a"), act("b"))

    with campaign("threads"), agent("anna"):
        thread = threading.Thread(target=carry(leaf), args=(1,))
    thread.start()
    thread.join()
    asyncio.run(both())
    records = recorded()

    assert [(record.campaign_id, record.agent and record.agent.id) for record in records] == [
        ("threads", "anna"),
        ("a", "a"),
        ("b", "b"),
    ]


def test_pickled(recorded: Recorded) -> None:
    """What is sent to another process takes campaign and agent along; one run there is one run."""
    with campaign("far"), agent("anna", on_behalf_of="lab"):
        sent = pickle.dumps(carry(leaf))
    for _ in range(2):
        pickle.loads(sent)(1)  # noqa: S301  # we wrote it
    records = recorded()

    assert campaigns(records) == [("leaf", "far")] * 2
    assert {record.agent for record in records} == {Agent(id="anna", acted_on_behalf_of="lab")}


def test_process_pool(stage: Stage) -> None:
    """A process pool's tasks belong to the campaign and the agent that they were carried from."""
    stage.run(
        """
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from provtel import agent, campaign, carry, task

        @task
        def leaf(x):
            return x

        if __name__ == "__main__":
            with campaign("far"), agent("anna"), ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
                assert list(pool.map(carry(leaf), range(3))) == [0, 1, 2]
        """
    )
    records = stage.records()

    assert campaigns(records) == [("leaf", "far")] * 3
    assert agents(records) == [("leaf", "anna")] * 3


def test_many_agents_share_their_runs(recorded: Recorded) -> None:
    """The run of an agent is made once, however many tasks it acts in, and memory of agents is bounded."""
    robot = agent("robot")
    with workflow("main") as run:
        assert robot.applied_to(run.run) is robot.applied_to(run.run)
        for number in range(500):
            robot_of_number = agent(f"robot {number}").applied_to(run.run)
    assert len(run.run._of_agents) <= 100
    assert robot_of_number.facts["agent"] == {"id": "robot 499"}
    recorded()


def test_facts_that_cannot_be_kept(recorded: Recorded) -> None:
    """A name that is no text changes nothing and never raises; half characters are spelled out."""
    with campaign("ok"), campaign(object()), agent("\ud800"):  # type: ignore[arg-type]  # a mistake of the user's
        leaf(1)
    (record,) = recorded()

    assert record.agent is not None
    assert (record.campaign_id, record.agent.id) == ("ok", "\\ud800")


def test_blocks_of_one_agent_share_their_definition(recorded: Recorded) -> None:
    """However often a block says who acts, the journal says it once."""
    blocks = []
    for _ in range(3):
        with task("step", agent="anna") as step:
            blocks.append(step)
    assert len({id(step.definition) for step in blocks}) == len({id(step.run) for step in blocks}) == 1
    assert agents(recorded()) == [("step", "anna")] * 3
