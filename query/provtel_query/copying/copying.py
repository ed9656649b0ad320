"""Copy what one store has into another."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from provtel_model.components import Reader, Writer, WriteResult
from provtel_model.errors import DeliveryError, RetryableError, StoreError, UnsupportedError, UserError
from provtel_model.filters import Query
from provtel_model.record import key_of
from provtel_model.telemetry import Window, observation_id

from provtel_query.connect import connect
from provtel_query.copying.pages import Processes, observation_pages, record_pages
from provtel_query.copying.state import TELEMETRY, State
from provtel_query.copying.verifying import Compared, is_behind, missing_of, there_of
from provtel_query.identity import find_run
from provtel_query.stores import open_reader, open_writer, resolved, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provtel_query.copying.pages import Ask, Observation
    from provtel_query.store import Store

T = TypeVar("T")
Progress = Callable[[str, int, int | None], None]
"""Told what is being done, how much of it is done, and how much there is, where that is known."""

_TRIES: Final = 5
_PAUSE: Final = 0.5
_KINDS: Final = ("points", "logs")


@dataclass(slots=True)
class Copied:
    """What a copy did.

    Args:
        resumed: It went on from where one before it was interrupted.
        stored: How many records, data points and log records were new to the target, or moved one on.
        duplicates: How many it had already.
        compared: What is on both sides, by kind: ``records``, ``points``, ``logs``.
        left_out: What the source cannot tell, with the reason.
    """

    resumed: bool = False
    stored: dict[str, int] = field(default_factory=dict)
    duplicates: dict[str, int] = field(default_factory=dict)
    compared: dict[str, Compared] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether the target has all of it."""
        return all(compared.equal for compared in self.compared.values())

    def add(self, kind: str, result: WriteResult) -> None:
        """Count what a write did."""
        self.stored[kind] = self.stored.get(kind, 0) + result.stored
        self.duplicates[kind] = self.duplicates.get(kind, 0) + result.duplicates

    def readable(self, pages: Iterable[T]) -> Iterator[T]:
        """Yield the pages that a source can tell; where it keeps nothing of a kind, note that."""
        try:
            yield from pages
        except UnsupportedError as error:
            if str(error) not in self.left_out:
                self.left_out.append(str(error))

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "equal": self.equal,
            "resumed": self.resumed,
            **{
                kind: {"stored": self.stored.get(kind, 0), "duplicates": self.duplicates.get(kind, 0)}
                | compared.as_json()
                for kind, compared in self.compared.items()
            },
            "left_out": self.left_out,
        }


def copy(
    source: str | None,
    target: str,
    *,
    run: str | None = None,
    where: Mapping[str, Any] | None = None,
    progress: Progress = lambda _kind, _done, _all: None,
) -> Copied:
    """Copy records, data points and log records from one store into another, and verify what is there afterwards.

    Idempotent: what the target has already, or has better, stays. A copy that was interrupted, by a kill for example,
    goes on from where it was when it is asked for again. Memory is bounded by a page of both stores.

    Args:
        source: Where from, as `provtel_query.connect` takes it.
        target: Where to; made where it is missing.
        run: Only this run: its id, the name of its workflow, or the id or a prefix of the id of a record in it.
        where: Only records that match this filter. With either, those data points and log records are copied that
            the processes of these records gave while they ran them.
        progress: Told how far it is.

    Raises:
        UserError: A store cannot be opened, read or written, or there is no such run.
    """
    if source is not None and resolved(source) == resolved(target):
        raise UserError(f"{shown(target)} is where the copy comes from; name another store to copy to")
    with connect(source) as store:
        chosen = _chosen(store, run, where)
        query = Query(chosen)
        state = State.of(resolved(store.location), resolved(target), chosen)
        copied = Copied(resumed=state.begun)
        with closing(open_writer(target)) as writer:
            _Copier(store.reader, writer, state, copied, progress).copy_all(query, whole=not chosen)
        with closing(open_reader(target)) as there:
            _Verifier(store.reader, there, target, state, copied, progress).verify_all(query, whole=not chosen)
        if copied.equal:
            state.forget()
        return copied


def _chosen(store: Store, run: str | None, where: Mapping[str, Any] | None) -> dict[str, Any]:
    parts: list[Mapping[str, Any]] = [where] if where else []
    if run is not None:
        known = find_run(store.reader, run)
        if known is None:
            raise UserError(f"there is no run {run!r} in {store.location}; `provtel workflows` lists what there is")
        parts.append({"run": known})
    return {"$and": parts} if len(parts) > 1 else dict(parts[0]) if parts else {}


def _windows(state: State, *, whole: bool) -> list[Window]:
    return [Window()] if whole else Processes.from_plain(state.processes).windows()


def _observations(ask: Ask, window: Window, *, whole: bool) -> Iterator[list[Observation]]:
    for page in observation_pages(ask, window):
        # Records without a host ran with what has none either: any host would be somebody else's.
        wanted = page if whole or window.host is not None else [one for one in page if "host" not in one]
        if wanted:
            yield wanted


def _patiently(write: Callable[[Sequence[Any]], WriteResult], plains: Sequence[Any]) -> WriteResult:
    """Write, and again where that may succeed later.

    Raises:
        StoreError: It did not, or never will.
    """
    for attempt in range(_TRIES):
        try:
            return write(plains)
        except RetryableError as error:
            if attempt + 1 == _TRIES:
                raise StoreError(f"{error}; copy again, and it goes on from here") from error
            time.sleep(_PAUSE * 2**attempt)
        except DeliveryError as error:
            raise StoreError(f"the target does not take what the source has: {error}") from error
    raise AssertionError


@dataclass(slots=True)
class _Copier:
    """The first pass: everything is written, page by page."""

    source: Reader
    writer: Writer
    state: State
    copied: Copied
    progress: Progress

    def copy_all(self, query: Query, *, whole: bool) -> None:
        self._copy_records(query)
        for kind in _KINDS:
            self._copy_observations(kind, whole=whole)

    def _copy_records(self, query: Query) -> None:
        state = self.state
        self.copied.add("records", WriteResult(state.stored, state.duplicates))
        if state.phase == TELEMETRY:
            return
        processes = Processes.from_plain(state.processes)
        total, done = self.source.count(query), state.stored + state.duplicates
        self.progress("records", done, total)
        for page in record_pages(self.source, query.where, state.cursor, state.start):
            result = _patiently(self.writer.write, page.records)
            self.copied.add("records", result)
            for plain in page.records:
                processes.add(plain)
            state.cursor, state.start, state.processes = page.cursor, page.start, processes.to_plain()
            state.stored += result.stored
            state.duplicates += result.duplicates
            state.save()
            done += len(page.records)
            self.progress("records", done, max(total, done))
        state.phase = TELEMETRY
        state.save()

    def _copy_observations(self, kind: str, *, whole: bool) -> None:
        ask, write = getattr(self.source, kind), getattr(self.writer, f"write_{kind}")
        self.copied.add(kind, WriteResult(0, 0))
        done = 0
        for window in _windows(self.state, whole=whole):
            for page in self.copied.readable(_observations(ask, window, whole=whole)):
                self.copied.add(kind, _patiently(write, page))
                done += len(page)
                self.progress(kind, done, None)


@dataclass(slots=True)
class _Verifier:
    """The second pass: both sides are read; what came meanwhile is copied too."""

    source: Reader
    there: Reader
    target: str
    state: State
    copied: Copied
    progress: Progress

    def verify_all(self, query: Query, *, whole: bool) -> None:
        self._verify_records(query)
        for kind in _KINDS:
            self._verify_observations(kind, whole=whole)

    def _verify_records(self, query: Query) -> None:
        compared = self.copied.compared["records"] = Compared()
        total = self.source.count(query)
        for page in record_pages(self.source, query.where):
            there = there_of(self.there, page.records)
            late = [plain for plain in page.records if is_behind(there.get(key_of(plain)), plain)]
            if late:
                compared.late += len(late)
                self._write("records", late)
                there = there_of(self.there, page.records)
            for plain in page.records:
                compared.add_record(plain, there.get(key_of(plain)))
            self.progress("verified", compared.source, max(total, compared.source))

    def _verify_observations(self, kind: str, *, whole: bool) -> None:
        compared = self.copied.compared[kind] = Compared()
        for window in _windows(self.state, whole=whole):
            for page in self.copied.readable(_observations(getattr(self.source, kind), window, whole=whole)):
                self._verify_page(kind, compared, page, window)

    def _verify_page(self, kind: str, compared: Compared, page: list[Observation], window: Window) -> None:
        ask: Ask = getattr(self.there, kind)
        within = replace(window, since=page[0]["time"], until=page[-1]["time"])
        missing = missing_of(ask, within, page)
        if missing:
            compared.late += len(missing)
            self._write(kind, [one for one in page if observation_id(one) in missing])
            missing = missing_of(ask, within, page)
        for one in page:
            identity = observation_id(one)
            compared.add_observation(identity, there=identity not in missing)

    def _write(self, kind: str, plains: Sequence[Any]) -> None:
        with closing(open_writer(self.target)) as writer:
            write = writer.write if kind == "records" else getattr(writer, f"write_{kind}")
            self.copied.add(kind, _patiently(cast("Any", write), plains))
