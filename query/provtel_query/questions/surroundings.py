"""Who acted with which models, and in which environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from provtel_model.attributes import (
    EVENT_PYTHON_ENVIRONMENT,
    GEN_AI_REQUEST_MODEL,
    GEN_AI_USAGE_INPUT_TOKENS,
    GEN_AI_USAGE_OUTPUT_TOKENS,
    PROVTEL_PYTHON_DISTRIBUTIONS,
    PROVTEL_PYTHON_ENVIRONMENT_HASH,
)
from provtel_model.telemetry import Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provtel_model.record import Record

    from provtel_query.store import Store

_NUMBERS: Final = re.compile(r"\d+")
_MARKS: Final = re.compile(r"[-_.]+")


def agent_trace(store: Store, agent: str, *, limit: int | None = None) -> list[Record]:
    """Return what an agent did, by its id or name, oldest first: prompts and responses, calls of tools, decisions.

    What came of one of its responses is `Store.lineage` of that record, downstream.
    """
    return store.records({"$or": [{"agent.id": agent}, {"agent.name": agent}]}, sort="started_at", limit=limit)


def model_usage(
    store: Store,
    by: Sequence[str] | str = f"attributes.{GEN_AI_REQUEST_MODEL}",
    where: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return tokens, latency and errors of calls of models, by model or anything else, the most tokens first.

    Each row has ``calls``, ``input_tokens``, ``output_tokens``, ``seconds`` (the average), ``p95`` and ``errors``.

    Raises:
        FilterError: A field or operator is unknown, or an operand of the wrong type.
    """
    calls = {"$and": [{f"attributes.{GEN_AI_REQUEST_MODEL}": {"$exists": True}}, where or {}]}
    figures = {
        "calls": "count",
        "input_tokens": f"sum(attributes.{GEN_AI_USAGE_INPUT_TOKENS})",
        "output_tokens": f"sum(attributes.{GEN_AI_USAGE_OUTPUT_TOKENS})",
        "seconds": "avg(duration)",
        "p95": "p95(duration)",
    }
    rows = store.aggregate(figures, calls, by=by, sort="-output_tokens")
    failed = store.aggregate({"errors": "count"}, {"$and": [calls, {"status": "error"}]}, by=by)
    groups = by.split(",") if isinstance(by, str) else by
    errors = {tuple(map(repr, map(row.get, groups))): row["errors"] for row in failed}
    return [{**row, "errors": errors.get(tuple(map(repr, map(row.get, groups))), 0)} for row in rows]


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
    wanted = _normal(package)
    hashes: set[str] = set()
    for line in store.logs(Window(name=EVENT_PYTHON_ENVIRONMENT)):
        attributes: Mapping[str, Any] = line.get("attributes", {})
        for distribution in attributes.get(PROVTEL_PYTHON_DISTRIBUTIONS, ()):
            name, _, version = str(distribution).partition("==")
            if _normal(name) == wanted and (before is None or _numbers(version) < _numbers(before)):
                hashes.add(attributes[PROVTEL_PYTHON_ENVIRONMENT_HASH])
    field = f"resource.{PROVTEL_PYTHON_ENVIRONMENT_HASH}"
    return [str(run) for run in store.distinct("run", {field: {"$in": sorted(hashes)}})] if hashes else []


def _normal(name: str) -> str:
    return _MARKS.sub("-", name).lower()


def _numbers(version: str) -> list[int]:
    return [int(number) for number in _NUMBERS.findall(version)]
