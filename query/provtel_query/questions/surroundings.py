"""Who acted with which models, and in which environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from provtel_model.aggregation import first_value
from provtel_model.attributes import (
    GEN_AI_REQUEST_MODEL,
    GEN_AI_USAGE_INPUT_TOKENS,
    GEN_AI_USAGE_OUTPUT_TOKENS,
    PROVTEL_PYTHON_ENVIRONMENT_HASH,
)
from provtel_model.errors import UserError
from provtel_model.fields import with_computed
from provtel_model.hashing import canonical_bytes
from provtel_model.values import decode

from provtel_query.flow import Flow
from provtel_query.lineage import Direction, Start, trace
from provtel_query.packages import environments, package_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provtel_model.record import Record

    from provtel_query.store import Store

_NUMBERS: Final = re.compile(r"\d+")
_MODEL: Final = f"attributes.{GEN_AI_REQUEST_MODEL}"
_INPUT: Final = f"attributes.{GEN_AI_USAGE_INPUT_TOKENS}"
_OUTPUT: Final = f"attributes.{GEN_AI_USAGE_OUTPUT_TOKENS}"
_MILLION: Final = 1_000_000


def agent_trace(store: Store, agent: str, *, limit: int | None = None) -> list[Record]:
    """Return what an agent did, by its id or name, oldest first: prompts and responses, calls of tools, decisions.

    What came of one of its responses is `Store.lineage` of that record, downstream.
    """
    return store.records({"$or": [{"agent.id": agent}, {"agent.name": agent}]}, sort="started_at", limit=limit)


def model_usage(
    store: Store,
    by: Sequence[str] | str = _MODEL,
    where: Mapping[str, Any] | None = None,
    *,
    prices: Mapping[str, tuple[float, float]] | None = None,
) -> list[dict[str, Any]]:
    """Return tokens, latency and errors of calls of models, by model or anything else, the most tokens first.

    Each row has ``calls``, ``input_tokens``, ``output_tokens``, ``seconds`` (the average), ``p95`` and ``errors``, and
    with prices the ``cost``.

    Args:
        store: The store.
        by: What makes the groups: ``agent.name``, ``name`` (of a tool), ``campaign_id`` …
        where: Only calls that match.
        prices: By model, what a million tokens of prompts and a million tokens of responses cost.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
        UserError: A model was called that has no price.
    """
    calls = {"$and": [{_MODEL: {"$exists": True}}, where or {}]}
    groups = by.split(",") if isinstance(by, str) else list(by)
    tokens = {"input_tokens": f"sum({_INPUT})", "output_tokens": f"sum({_OUTPUT})"}
    figures = {"calls": "count", **tokens, "seconds": "avg(duration)", "p95": "p95(duration)"}
    rows = store.aggregate(figures, calls, by=groups, sort="-output_tokens")
    failed = store.aggregate({"errors": "count"}, {"$and": [calls, {"status": "error"}]}, by=groups)
    errors = {_group(row, groups): row["errors"] for row in failed}
    told = [{**row, "errors": errors.get(_group(row, groups), 0)} for row in rows]
    if prices is None:
        return told
    costs: dict[tuple[str, ...], float] = {}
    for row in store.aggregate(tokens, calls, by=list(dict.fromkeys([*groups, _MODEL]))):
        group = _group(row, groups)
        costs[group] = costs.get(group, 0) + _cost(row, prices)
    return [{**row, "cost": costs[_group(row, groups)]} for row in told]


def prompt_versions(
    store: Store, accepted: Mapping[str, Any], by: str = "used.prompt", where: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return which prompts led to accepted results, the best first, each with its ``calls`` and how many ``accepted``.

    A call counts as accepted where anything that matches came of it, directly or not, or it matches itself.

    Args:
        store: The store.
        accepted: What says that a result was accepted: ``{"name": "review", "generated.verdict": "accepted"}``.
        by: What makes a version of a prompt: the prompt itself, or a field that numbers it, such as ``used.version``.
        where: Only calls of models that match.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
    """
    starts = [Start(generator=record) for record in store.records(accepted)]
    came_of = trace(Flow(store.reader), starts, Direction.UPSTREAM).activities
    rows: dict[bytes, dict[str, Any]] = {}
    for record in store.records({"$and": [{_MODEL: {"$exists": True}, by: {"$exists": True}}, where or {}]}):
        value = first_value(with_computed(record.plain), by)
        row = rows.setdefault(canonical_bytes(value), {by: decode(value), "calls": 0, "accepted": 0})
        row["calls"] += 1
        row["accepted"] += record.id in came_of
    return sorted(rows.values(), key=lambda row: (-row["accepted"] / row["calls"], -row["calls"], repr(row[by])))


def runs_before(store: Store, attribute: str, version: str) -> list[str]:
    """Return the runs in whose environment something had a lower version: ``process.runtime.version``, ``3.12``.

    Versions are compared by their numbers. Anything else of an environment is a filter:
    ``store.distinct("run", {"resource.provtel.vcs.modified": True})``.

    Args:
        store: The store.
        attribute: An attribute of the process, in `Record.resource`.
        version: The first version that is not meant.

    Raises:
        FilterError: The attribute is no field.
    """
    field = f"resource.{attribute}"
    old = [known for known in store.distinct(field) if isinstance(known, str) and _numbers(known) < _numbers(version)]
    return [str(run) for run in store.distinct("run", {field: {"$in": old}})] if old else []


def runs_with_package(store: Store, package: str, before: str | None = None) -> list[str]:
    """Return the runs in whose Python environment a package was installed, of any version or of one before a version.

    The list of an environment is kept once, in the store into which it was first recorded; of a run whose list is in
    another store nothing is known.

    Args:
        store: The store.
        package: The name of a distribution, as PyPI has it; case and ``-_.`` do not matter.
        before: The first version that is not meant.
    """
    wanted = package_name(package)
    hashes = [
        digest
        for digest, versions in environments(store.reader).items()
        if wanted in versions and (before is None or _numbers(versions[wanted]) < _numbers(before))
    ]
    field = f"resource.{PROVTEL_PYTHON_ENVIRONMENT_HASH}"
    return [str(run) for run in store.distinct("run", {field: {"$in": sorted(hashes)}})] if hashes else []


def _numbers(version: str) -> list[int]:
    return [int(number) for number in _NUMBERS.findall(version)]


def _group(row: Mapping[str, Any], groups: Sequence[str]) -> tuple[str, ...]:
    return tuple(repr(row[name]) for name in groups)


def _cost(row: Mapping[str, Any], prices: Mapping[str, tuple[float, float]]) -> float:
    model = row[_MODEL]
    if model not in prices:
        raise UserError(f"the model {model!r} has no price; give it one, or leave its calls out")
    prompt, response = prices[model]
    return float(row["input_tokens"] * prompt + row["output_tokens"] * response) / _MILLION
