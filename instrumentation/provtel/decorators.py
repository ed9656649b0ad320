"""`task` and `workflow`: each a decorator, with and without parentheses, and a block of code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from provtel.agents import as_agent
from provtel.block import Block
from provtel.definition import TASK, WORKFLOW
from provtel.telemetry import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from provtel.agents import Agent

    Outputs = str | tuple[str, ...] | list[str]
    Telemetry = Literal["off", "cpu", "full"] | bool | None

_F = TypeVar("_F", bound="Callable[..., Any]")


@overload
def task(target: _F, /) -> _F: ...


@overload
def task(
    target: str | None = None,
    /,
    *,
    name: str | None = None,
    used: Mapping[str, object] | None = None,
    outputs: Outputs | None = None,
    tags: Iterable[str] = (),
    subtype: str | None = None,
    attempt: int | None = None,
    agent: str | Agent | None = None,
    telemetry: Telemetry = None,
    capture_values: bool = True,
) -> Block: ...


def task(  # noqa: PLR0913  # each is a word that users may leave out
    target: Any = None,
    /,
    *,
    name: str | None = None,
    used: Mapping[str, object] | None = None,
    outputs: Outputs | None = None,
    tags: Iterable[str] = (),
    subtype: str | None = None,
    attempt: int | None = None,
    agent: str | Agent | None = None,
    telemetry: Telemetry = None,
    capture_values: bool = True,
) -> Any:
    """Record each call of a function, or a block of code, as a task.

    As a decorator it returns a function of the same kind, with the same result and the same exceptions. Inputs bear the
    names of the parameters. As a block it gives the running task, whose ``generated`` names outputs.

    Args:
        target: The function, or the name of the block.
        name: Name of the tasks, where it is not the function's.
        used: Inputs of the block by role; an `Output` of another task declares the data flow.
        outputs: Name of what the function returns; several for the items of a tuple or the keys of a dict.
        tags: Words to find it by.
        subtype: What kind of task it is, in a word of yours.
        attempt: Which attempt at the same task it is.
        agent: Who acts, in the task and in all that starts inside: an id, or what `agent` returns.
        telemetry: What to measure: ``"cpu"``, ``"full"``, or ``"off"``, which is ``False``; else what the settings say.
        capture_values: Whether to keep what its inputs and outputs hold; without it only their types are kept.

    Raises:
        ValueError: `telemetry` is none of these.
    """
    block = Block(
        TASK,
        _name(target, name),
        used=used,
        outputs=outputs,
        tags=(*tags,),
        subtype=subtype,
        attempt=attempt,
        agent=as_agent(agent),
        telemetry=Level.of(telemetry),
        capture_values=capture_values,
    )
    return block(target) if _is_function(target) else block


@overload
def workflow(target: _F, /) -> _F: ...


@overload
def workflow(
    target: str | None = None,
    /,
    *,
    name: str | None = None,
    used: Mapping[str, object] | None = None,
    outputs: Outputs | None = None,
    tags: Iterable[str] = (),
    subtype: str | None = None,
    campaign: str | None = None,
    agent: str | Agent | None = None,
) -> Block: ...


def workflow(
    target: Any = None,
    /,
    *,
    name: str | None = None,
    used: Mapping[str, object] | None = None,
    outputs: Outputs | None = None,
    tags: Iterable[str] = (),
    subtype: str | None = None,
    campaign: str | None = None,
    agent: str | Agent | None = None,
) -> Any:
    """Record each call of a function, or a block of code, as a workflow; tasks that start inside belong to it.

    Args:
        target: The function, or the name of the block.
        name: Name of the workflow, where it is not the function's.
        used: Inputs of the block by role.
        outputs: Name of what the function returns; several for the items of a tuple or the keys of a dict.
        tags: Words to find it by.
        subtype: What kind of workflow it is, in a word of yours.
        campaign: What several workflows belong to; a workflow inside another one has that one's.
        agent: Who acts, in the workflow and in all that starts inside: an id, or what `agent` returns.
    """
    block = Block(
        WORKFLOW,
        _name(target, name),
        used=used,
        outputs=outputs,
        tags=(*tags,),
        subtype=subtype,
        campaign=campaign,
        agent=as_agent(agent),
    )
    return block(target) if _is_function(target) else block


def _is_function(target: object) -> bool:
    return target is not None and not isinstance(target, str)


def _name(target: object, name: str | None) -> str | None:
    return target if name is None and isinstance(target, str) else name
