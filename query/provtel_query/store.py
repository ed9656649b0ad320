"""A store, open for questions."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from provtel_model.aggregation import Aggregation, Figure
from provtel_model.attributes import PROVTEL_PYTHON_ENVIRONMENT_HASH
from provtel_model.errors import FilterError, UserError
from provtel_model.filters import NEWEST_FIRST, Query
from provtel_model.garbage import without_collector
from provtel_model.record import Record
from provtel_model.telemetry import Window
from provtel_model.values import decode

from provtel_query.annotations import KIND as ANNOTATION
from provtel_query.annotations import (
    Annotation,
    annotation,
    annotations_about,
    annotations_of,
    annotations_that,
    with_annotations,
)
from provtel_query.difference import compare
from provtel_query.entities import entities_of, records_with
from provtel_query.evidence import chosen
from provtel_query.flow import Flow
from provtel_query.frames import converted, frame
from provtel_query.identity import find_record, find_run, last_run
from provtel_query.joined import JoinedReader
from provtel_query.lineage import Direction, Extent, Lineage, trace
from provtel_query.lookups import steadily
from provtel_query.narrowing import between
from provtel_query.order import sort_order, sorted_rows
from provtel_query.packages import changed_packages, environments
from provtel_query.sql import answer
from provtel_query.target import Finder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from prov.model import ProvDocument
    from provtel_model.components import DrainReport, Reader
    from provtel_model.telemetry import PlainLog, PlainPoint

    from provtel_query.difference import Difference
    from provtel_query.evidence import Wanted
    from provtel_query.frames import Library
    from provtel_query.lineage import Start
    from provtel_query.rocrate import Crate


class Store:
    """A store, open for questions; use it in a ``with`` statement, or close it.

    It sees what was durable when a question is asked. What processes record while it is open comes in when their
    journals are drained: by `provtel_query.connect`, by a collector.

    Args:
        location: The folder or address.
        reader: Reads it; the store closes it.
        drained: What was brought in when the store was opened, and what was left elsewhere.
    """

    def __init__(self, location: str, reader: Reader, drained: DrainReport) -> None:
        """Ask questions of a reader."""
        self.location = location
        self.drained = drained
        self._reader = reader

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the store; safe to call twice."""
        self._reader.close()

    @property
    def reader(self) -> Reader:
        """What reads the store, for questions that this class does not ask."""
        return self._reader

    def tasks(
        self,
        where: Mapping[str, Any] | None = None,
        *,
        run: str | None = None,
        all_runs: bool = False,
        sort: Sequence[str] | str = (),
        limit: int | None = 50,
    ) -> list[Record]:
        """Return tasks: those of the last run, newest first, at most 50, unless told otherwise.

        Args:
            where: A filter; see `provtel_model.filters`.
            run: A run: its id, the name of its workflow, or the id or a prefix of the id of a record in it.
            all_runs: Take every run.
            sort: Fields in order of weight, each with ``-`` before it to descend.
            limit: At most so many; ``None`` for all.

        Raises:
            FilterError: A field or operator is unknown, or an operand of the wrong type.
            UserError: There is no such run.
        """
        if run and all_runs:
            raise UserError(f"the run {run!r} and all runs were asked for; choose one")
        return self._find({"kind": "task"} | ({} if all_runs else self._run(run)), where, sort, limit)

    def workflows(
        self, where: Mapping[str, Any] | None = None, *, sort: Sequence[str] | str = (), limit: int | None = 50
    ) -> list[Record]:
        """Return workflows, newest first, at most 50, unless told otherwise.

        Raises:
            FilterError: A field or operator is unknown, or an operand of the wrong type.
        """
        return self._find({"kind": "workflow"}, where, sort, limit)

    def records(
        self, where: Mapping[str, Any] | None = None, *, sort: Sequence[str] | str = (), limit: int | None = None
    ) -> list[Record]:
        """Return activities of every kind and run, newest first, all of them, unless told otherwise.

        Raises:
            FilterError: A field or operator is unknown, or an operand of the wrong type.
        """
        return self._find({}, where, sort, limit)

    def count(self, where: Mapping[str, Any] | None = None, *, run: str | None = None) -> int:
        """Return how many activities of every kind match a filter, in one run or in all.

        Raises:
            FilterError: A field or operator is unknown, or an operand of the wrong type.
            UserError: There is no such run.
        """
        return self._reader.count(Query(where=_both(self._run(run) if run else {}, where)))

    def page(
        self,
        where: Mapping[str, Any] | None = None,
        *,
        sort: Sequence[str] | str = (),
        limit: int = 1000,
        after: str | None = None,
    ) -> tuple[list[Record], str | None]:
        """Return some activities of every kind and run, and the cursor for those after them; ``None`` at the end.

        Records that are written meanwhile shift nothing.

        Raises:
            FilterError: A field or operator is unknown, an operand of the wrong type, the cursor none of this order.
        """
        query = Query(where or {}, sort=sort_order(sort) if sort else NEWEST_FIRST, limit=limit, after=after)
        found = list(self._reader.find(query))
        return found, query.cursor(found[-1].plain) if len(found) == limit else None

    def aggregate(
        self,
        figures: Mapping[str, str],
        where: Mapping[str, Any] | None = None,
        *,
        by: Sequence[str] | str = (),
        sort: Sequence[str] | str = (),
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return figures over groups of activities of every kind and run, each a map of the group and its figures.

        Args:
            figures: What to compute, by name: ``count``, ``sum(duration)``, ``avg(F)``, ``min(F)``, ``max(F)``,
                ``p95(F)``; see `provtel_model.aggregation`.
            where: A filter.
            by: Fields that make the groups.
            sort: Names of figures or fields, each with ``-`` before it to descend.
            limit: At most so many groups.

        Raises:
            FilterError: A figure, field or operator is unknown.
        """
        groups = by.split(",") if isinstance(by, str) and by else by
        wanted = {name: _figure(text) for name, text in figures.items()}
        order = sort_order(sort) if sort else ()
        return self._reader.aggregate(Aggregation(where or {}, tuple(groups), wanted, order, limit))

    def distinct(self, field: str, where: Mapping[str, Any] | None = None) -> list[Any]:
        """Return the different values of a field in activities of every kind and run.

        Raises:
            FilterError: A field or operator is unknown, or an operand of the wrong type.
        """
        return [decode(value) for value in self._reader.distinct(field, Query(where or {}))]

    def campaigns(
        self, where: Mapping[str, Any] | None = None, *, sort: Sequence[str] | str = (), limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the campaigns, each with its ``campaign_id``, its number of ``workflows`` and of ``failed`` tasks.

        Args:
            where: A filter of the activities that count.
            sort: Keys of the rows, each with ``-`` before it to descend; by default the id.
            limit: At most so many.

        Raises:
            FilterError: A field, operator or key is unknown, or an operand of the wrong type.
        """
        rows = self._counted("campaign_id", {"workflows": {"kind": "workflow"}, "failed": _FAILED}, where)
        return sorted_rows(rows, sort)[:limit]

    def agents(
        self, where: Mapping[str, Any] | None = None, *, sort: Sequence[str] | str = (), limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Return who acted, each with ``agent.id``, the number of ``activities`` and of ``failed`` tasks.

        The arguments are those of `campaigns`.

        Raises:
            FilterError: A field, operator or key is unknown, or an operand of the wrong type.
        """
        rows = self._counted("agent.id", {"activities": {"kind": {"$ne": ANNOTATION}}, "failed": _FAILED}, where)
        return sorted_rows(rows, sort)[:limit]

    def entities(
        self,
        where: Mapping[str, Any] | None = None,
        *,
        run: str | None = None,
        all_runs: bool = False,
        role: str | None = None,
        content: str | None = None,
        sort: Sequence[str] | str = (),
        limit: int | None = 50,
    ) -> list[dict[str, Any]]:
        """Return the data that activities used and generated: of the last run, at most 50, unless told otherwise.

        Each content is there once, the first that was seen first, as a map of its ``hash``, ``value``, ``roles``,
        ``used_by`` and ``generated_by`` (ids of records), ``first_at``, and ``type``, ``uri`` and ``nbytes`` of what
        was too large to be kept whole.

        Args:
            where: A filter of the activities.
            run: A run: its id, the name of its workflow, or the id or a prefix of the id of a record in it.
            all_runs: Take every run.
            role: Only what was used or generated in this role.
            content: Only what has this hash, or one that begins so: ``sha256:0a1b``.
            sort: Keys of the maps, each with ``-`` before it to descend.
            limit: At most so many; ``None`` for all.

        Raises:
            FilterError: A field or operator is unknown, or an operand of the wrong type.
            UserError: There is no such run.
        """
        scope = {"kind": {"$ne": ANNOTATION}} | ({} if all_runs else self._run(run))
        found = records_with(self._reader, _both(scope, where), content if content and all_runs else "")
        return sorted_rows(entities_of(found, role, content or ""), sort)[:limit]

    def frame(
        self,
        where: Mapping[str, Any] | None = None,
        *,
        library: Library = "pandas",
        columns: Sequence[str] | None = None,
        run: str | None = None,
        all_runs: bool = False,
        sort: Sequence[str] | str = (),
        limit: int | None = None,
    ) -> Any:
        """Return tasks as a frame, all of them unless told otherwise; the rest is as for `tasks`.

        Any other answer becomes a frame by `provtel_query.frame`, where the columns and their types are described.

        Args:
            where: A filter.
            library: ``pandas``, ``polars`` or ``arrow``.
            columns: The fields that are columns; by default all that there are.
            run: A run.
            all_runs: Take every run.
            sort: Fields in order of weight, each with ``-`` before it to descend.
            limit: At most so many.

        Raises:
            FilterError: A field or operator is unknown, or an operand of the wrong type.
            UserError: There is no such run, or the library is not installed.
        """
        return frame(self.tasks(where, run=run, all_runs=all_runs, sort=sort, limit=limit), library, columns)

    def sql(self, question: str, *, library: Library = "pandas") -> Any:
        """Return the answer to a ``select`` over the records, by DuckDB; see `provtel_query.sql`.

        Raises:
            FilterError: It is no single ``select``, or names what is not there.
            UserError: The library, or duckdb, is not installed.
        """
        return converted(answer(self, question), library)

    def get(self, identity: str) -> Record | None:
        """Return the record of an id, or of a prefix, of at least four digits, of its trace id or span id.

        A prefix of a trace id means the first record of the trace, which is its workflow where it has one.

        Raises:
            UserError: The prefix fits several.
        """
        return find_record(self._reader, identity)

    def children(self, record: Record) -> list[Record]:
        """Return the activities that ran directly inside another, oldest first."""
        return list(self._reader.children(record.id))

    def lineage(
        self,
        target: object,
        direction: Direction | Literal["upstream", "downstream"] = Direction.UPSTREAM,
        *,
        depth: int | None = None,
        until: Collection[str] = (),
        evidence: Wanted = None,
        run: str | None = None,
        also: Sequence[Store] = (),
    ) -> Lineage:
        """Return where something came from, or what came of it.

        Args:
            target: A record or its id, a content hash, ``role=value``, a file, a value as JSON writes it, or any value.
            direction: ``upstream`` or ``downstream``.
            depth: How many activities to go from the target; ``None`` for all.
            until: Names and kinds of activities to go no further than.
            evidence: How edges must be known: one kind for it and all stronger ones, several for just those.
            run: The run to look in for a value that says little by itself; by default the last.
            also: Other stores to follow it through, which the same content joins to this one.

        Raises:
            UserError: Nothing in the store is meant by the target; or the depth or an evidence is none.
        """
        if depth is not None and depth < 0:
            raise UserError(f"depth is {depth}; use 0 or more, or none for all")
        reader = JoinedReader([self._reader, *(store.reader for store in also)]) if also else self._reader
        way, extent = Direction(direction), Extent(depth, (until,) if isinstance(until, str) else until)

        def traced() -> Lineage:
            flow = Flow(reader, chosen(evidence))
            found = Finder(reader, flow, way, self._run(run) if run else None).find(target)
            return trace(flow, found.starts, way, extent, found.others)

        return steadily(reader, traced)

    def path(self, source: object, target: object, *, evidence: Wanted = None, also: Sequence[Store] = ()) -> Lineage:
        """Return every way on which something came from something else; an empty lineage where it did not.

        Args:
            source: What it may have come from: all that `lineage` takes.
            target: What may have come of it.
            evidence: How edges must be known.
            also: Other stores to follow it through.

        Raises:
            UserError: Nothing in the store is meant by the source or the target; or an evidence is none.
        """
        upstream = self.lineage(target, evidence=evidence, also=also)
        sources = self.lineage(source, Direction.DOWNSTREAM, depth=0, evidence=evidence, also=also).roots
        return between(upstream, sources)

    def diff(self, left: str, right: str) -> Difference:
        """Return what is different between two runs.

        Args:
            left: A run: its id, the name of its workflow, or the id or a prefix of the id of a record in it.
            right: Another one.

        Raises:
            UserError: There is no such run.
        """
        oldest_first = (("started_at", 1),)
        ran = {"kind": {"$ne": ANNOTATION}}
        with without_collector():
            runs = (self._reader.find(Query(_both(self._run(run), ran), sort=oldest_first)) for run in (left, right))
            found = compare(*runs)
        hashes = found.environment.get(PROVTEL_PYTHON_ENVIRONMENT_HASH)
        return replace(found, packages=changed_packages(environments(self._reader), *hashes)) if hashes else found

    def annotate(self, target: object, said: Mapping[str, object], *, by: str | None = None) -> Annotation:
        """Say something of an activity or a datum; return when it is kept.

        Args:
            target: What `lineage` takes.
            said: What is said, by key.
            by: Who says it; by default whoever runs this program.

        Raises:
            UserError: Nothing in the store is meant by the target, or nothing is said.
            StoreError: The store cannot be written.
        """
        from provtel_query.stores import open_writer

        plain = annotation(self._start(target), said, by)
        with closing(open_writer(self.location)) as writer:
            writer.write([plain])
        return Annotation(Record(plain))

    def annotations(self, target: object) -> list[Annotation]:
        """Return what was said of an activity or a datum, oldest first; of data wherever the same content occurs.

        Raises:
            UserError: Nothing in the store is meant by the target.
        """
        return annotations_of(self._reader, self._start(target))

    def annotated(self, where: Mapping[str, Any] | None = None) -> list[Annotation]:
        """Return the annotations that say something, oldest first.

        Args:
            where: A filter over what is said: ``{"center": "UChicago"}``.

        Raises:
            FilterError: An operator is unknown, or an operand of the wrong type.
        """
        return annotations_that(self._reader, where or {})

    def _start(self, target: object) -> Start:
        flow = Flow(self._reader)
        return Finder(self._reader, flow, Direction.UPSTREAM).find(target).starts[0]

    def prov(
        self,
        run: str | None = None,
        *,
        campaign: str | None = None,
        of: object = None,
        bundles: bool = False,
    ) -> ProvDocument:
        """Return activities, and what was said of them and their data, as a W3C PROV document of the package ``prov``.

        Args:
            run: A run; by default the last.
            campaign: A campaign, with all of its runs, instead of one run.
            of: What `lineage` takes, instead of one run: everything that it came from, whichever runs that is of.
            bundles: Make each run a bundle, which is an entity itself: provenance of provenance.

        Raises:
            UserError: There is no such run, or no run at all; or the package is not installed.
        """
        from provtel_query.prov_document import prov_bundles, prov_document

        records = self._selected(self._where(run, campaign, of), of)
        if not bundles:
            return prov_document(with_annotations(self._reader, records), Flow(self._reader))
        runs: dict[str, list[Record]] = {}
        for record in records:
            runs.setdefault(record.run, []).append(record)
        return prov_bundles((with_annotations(self._reader, run) for run in runs.values()), Flow(self._reader))

    def write_prov_json(
        self, out: Callable[[str], object], run: str | None = None, *, campaign: str | None = None, of: object = None
    ) -> int:
        """Write what `prov` returns as PROV-JSON, piece by piece while it is made; return how many statements.

        Args:
            out: Takes each piece of the text.
            run: As for `prov`.
            campaign: As for `prov`.
            of: As for `prov`.

        Raises:
            UserError: There is no such run, or no run at all.
        """
        from provtel_query.copying.pages import records_that
        from provtel_query.prov_document import write_prov_json

        where = self._where(run, campaign, of)
        outlines = self._selected(where, of, fields=("parent_id",))

        def whole() -> Iterable[Record]:
            return outlines if where is None else records_that(self._reader, where)

        known = {record.id for record in outlines}
        parents = {record.parent_id for record in outlines if record.parent_id}
        said = annotations_about(self._reader, known, whole)
        known |= {record.id for record in said}
        return write_prov_json(out, chain(whole(), said), lambda: Flow(self._reader), known, parents)

    def _where(self, run: str | None, campaign: str | None, of: object) -> Mapping[str, Any] | None:
        """Return the filter of what is to be exported; ``None`` where it is what something came from."""
        asked = [name for name, value in (("run", run), ("campaign", campaign), ("of", of)) if value is not None]
        if len(asked) > 1:
            raise UserError(f"{' and '.join(asked)} were given; choose one")
        if of is not None:
            return None
        return self._run(run) if campaign is None else {"campaign_id": campaign}

    def _selected(
        self, where: Mapping[str, Any] | None, of: object = None, fields: Sequence[str] | None = None
    ) -> Sequence[Record]:
        """Return what is to be exported, oldest first."""
        if where is None:
            found = self.lineage(of).activities.values()
            return sorted(found, key=lambda record: (record.plain["started_at"], record.id))
        records = self._reader.find(Query(where, sort=(("started_at", 1),), fields=fields))
        if not records and "campaign_id" in where:
            raise UserError(f"there is no campaign {where['campaign_id']!r} in {self.location}")
        if not records:
            raise UserError(f"the store {self.location} has no run to export")
        return records

    def points(self, of: Record | Window, name: str | None = None) -> Sequence[PlainPoint]:
        """Return the data points of metrics that fall into an activity, in its process, or into a window; oldest first.

        Args:
            of: The activity, or the window; what the machine as a whole used has a window without a process.
            name: The name of the metric, for an activity; ``None`` for all.
        """
        return self._reader.points(of if isinstance(of, Window) else Window.of(of.plain, name=name))

    def logs(self, of: Record | Window) -> Sequence[PlainLog]:
        """Return the log records that name an activity, or those of a window; oldest first."""
        return self._reader.logs(of if isinstance(of, Window) else Window(record_id=of.id))

    def openlineage(self, run: str | None = None) -> list[dict[str, Any]]:
        """Return a run, by default the last, as events of OpenLineage 2-0-2, in the order of its activities.

        Raises:
            UserError: There is no such run, or no run at all.
        """
        from provtel_query.openlineage import events_of

        return list(events_of(self._selected(self._run(run))))

    def crate(self, folder: Path, run: str | None = None, *, copy: bool = False) -> Crate:
        """Write a run, by default the last, as a Workflow Run RO-Crate into a folder that does not exist yet.

        Args:
            folder: Where.
            run: The run.
            copy: Copy the files that were used and generated into it.

        Raises:
            UserError: There is no such run, or the folder exists or cannot be written.
        """
        from provtel_query.rocrate import write_crate

        return write_crate(self._selected(self._run(run)), folder, copy=copy)

    def _run(self, run: str | None) -> dict[str, Any]:
        if run is None:
            return last_run(self._reader)
        known = find_run(self._reader, run)
        if known is None:
            raise UserError(f"there is no run {run!r} in {self.location}; `provtel workflows` lists what there is")
        return {"run": known}

    def _counted(
        self, field: str, figures: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any] | None
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = [{field: value} for value in self.distinct(field, scope) if value is not None]
        for name, where in figures.items():
            found = self.aggregate({name: "count"}, _both({field: {"$exists": True}, **where}, scope), by=field)
            counts = {row[field]: row[name] for row in found}
            rows = [{**row, name: counts.get(row[field], 0)} for row in rows]
        return rows

    def _find(
        self,
        scope: dict[str, Any],
        where: Mapping[str, Any] | None,
        sort: Sequence[str] | str,
        limit: int | None,
    ) -> list[Record]:
        order = sort_order(sort) if sort else NEWEST_FIRST
        return list(self._reader.find(Query(where=_both(scope, where), sort=order, limit=limit)))


_FAILED: Final = {"kind": "task", "status": "error"}
_FIGURE: Final = re.compile(r"(\w[\w.]*)(?:\((.+)\))?")


def _figure(text: str) -> Figure:
    match = _FIGURE.fullmatch(text)
    if match is None:
        raise FilterError(f"{text!r} is no figure; write count, sum(FIELD), avg(FIELD), min, max, or p95(FIELD)")
    return Figure(match[1], match[2])


def _both(scope: dict[str, Any], where: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if where is None:
        return scope
    return {"$and": [scope, where]} if scope else where
