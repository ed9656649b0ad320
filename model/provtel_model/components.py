"""The contracts between the rooms, written as guarantees.

Data flows ``Receiver -> Processor … -> Exporter``, each a `Consumer` of the next; `Writer` and `Reader` are the two
sides of a store; a `Drain` brings journals into one. Components are found by entry point (``provtel.receivers``,
``.processors``, ``.exporters``, ``.extensions``: each a `Factory`; ``.readers``: an `OpenReader`; ``.writers``: an
`OpenWriter`; ``.drains``: a `Drain`) and named in YAML as ``type`` or ``type/name``.
"""

from __future__ import annotations

import builtins
import enum
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, runtime_checkable

from provtel_model.record import PlainRecord, Record

if TYPE_CHECKING:
    from provtel_model.aggregation import Aggregation
    from provtel_model.anyvalue import AnyValue
    from provtel_model.filters import Query
    from provtel_model.telemetry import PlainLog, PlainPoint, Window

T = TypeVar("T")


class Signal(enum.StrEnum):
    """The kinds of data that OTLP carries, as pipelines name them."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"


ALL_SIGNALS: Final = frozenset(Signal)


@dataclass(frozen=True, slots=True)
class Batch:
    """One OTLP request as it was received: bytes stay bytes.

    Args:
        signal: What it carries.
        payload: A serialised ``Export(Trace|Metrics|Logs)ServiceRequest`` that was parsed once and found valid.
        items: How many spans, data points or log records it has.
        metadata: The headers that it came with, by names in lower case, where a receiver is told to include them.
    """

    signal: Signal
    payload: bytes
    items: int
    metadata: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Consumer(Protocol):
    """Something that takes batches."""

    def consume(self, batch: Batch) -> None:
        """Take a batch; return only when it is durable at the destination or was deliberately dropped.

        May be called from several threads at once. A batch that was taken may be given again (at least once): the
        result must be the same. Ownership of the bytes stays with the caller, who never changes them.

        Raises:
            RetryableError: Not taken; the same batch may be taken later.
            PermanentError: Not taken and never will be.
        """


@runtime_checkable
class Component(Protocol):
    """A part of the collector with a life cycle."""

    def start(self) -> None:
        """Acquire what is needed; fail now rather than later.

        Called once, after everything downstream has started.

        Raises:
            UserError: It cannot run as configured.
        """

    def shutdown(self) -> None:
        """Stop taking work, finish what was taken, release everything.

        Safe when never started and when called twice. Called before anything downstream is shut down.
        """


class Receiver(Component, Protocol):
    """Brings batches in and acknowledges them to its source only after the consumer returned."""


class Exporter(Component, Consumer, Protocol):
    """Takes batches out of the collector."""


class Processor(Component, Consumer, Protocol):
    """Takes batches, and gives them changed or unchanged to the next consumer before it returns."""


class Connector(Component, Consumer, Protocol):
    """Ends one pipeline as its exporter and begins others as their receiver."""


@runtime_checkable
class Authenticator(Protocol):
    """An extension that decides who may send to a server."""

    def authenticate(self, headers: Mapping[str, str]) -> None:
        """Return when a request may be taken.

        Args:
            headers: Those of HTTP or the metadata of gRPC, by names in lower case.

        Raises:
            UnauthenticatedError: It may not; the text says why and holds no secret.
        """


@runtime_checkable
class RefusesEarly(Authenticator, Protocol):
    """One that can refuse many a request at little cost, so that nobody's body is kept for nothing."""

    def refuse_early(self, headers: Mapping[str, str]) -> None:
        """Return unless a request is sure to be refused by `authenticate`; never wait, nor work for long.

        Args:
            headers: As for `authenticate`.

        Raises:
            UnauthenticatedError: It is.
        """


@runtime_checkable
class HidesHeaders(Authenticator, Protocol):
    """One that reads a secret from headers whose names do not tell so."""

    @property
    def secret_headers(self) -> frozenset[str]:
        """The names of these headers, in lower case: no component is told what they hold."""


@runtime_checkable
class Credentials(Protocol):
    """An extension that says who a client is."""

    def headers(self) -> Mapping[str, str]:
        """Return the headers to send with each request, by names in lower case."""


class Shelf(Protocol):
    """What one component keeps in a `Storage`: bytes under keys that are in order. May be used from several threads."""

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value; return when it is as safe as the storage promises. All who wait share the cost.

        Raises:
            RetryableError: It is not kept: the disk is full, or the storage stops.
        """

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key; None where there is none."""

    def remove(self, keys: Sequence[bytes]) -> None:
        """Keep some keys no longer, from some time soon on: those of a process that is killed first come back."""

    def listed(self, first: bytes, most: int) -> list[tuple[bytes, int]]:
        """Return so many keys at most, in their order, each with the length of its value.

        Args:
            first: The keys that come before this are left out.
            most: How many to return.
        """


@runtime_checkable
class Storage(Protocol):
    """An extension that keeps what has to outlive the process."""

    folder: Path

    def shelf(self, name: str) -> Shelf:
        """Return the shelf of a name, with what an earlier process put there; the storage must have started.

        Raises:
            StoreError: It cannot be read.
        """


@dataclass(frozen=True, slots=True)
class Context:
    """What a component is told about its place.

    Args:
        id: Its id in the configuration, ``type`` or ``type/name``.
        next: For a receiver, a processor or a connector, the consumer of each signal that a pipeline routes onwards.
        report: Called with the metric's name (without prefix), a count and attributes.
        observe: Called once with the name of a gauge, what reads it, and attributes.
        extensions: The extensions that run, by id; they start before everything else and stop after it.
        pipelines: For a connector, the head of each pipeline that it begins, by the pipeline's id.
        signals: What the pipelines of this collector carry, all of them together.
        shared: For a processor or a connector, what those of its id in all pipelines share: whatever they put there.
    """

    id: str
    next: Mapping[Signal, Consumer]
    report: Callable[[str, int, Mapping[str, str]], None]
    observe: Callable[[str, Callable[[], float], Mapping[str, str]], None] = lambda *_: None
    extensions: Mapping[str, Component] = field(default_factory=dict)
    pipelines: Mapping[str, Consumer] = field(default_factory=dict)
    signals: frozenset[Signal] = ALL_SIGNALS
    shared: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Factory:
    """One component type, as its entry point names it.

    Args:
        type: The type as YAML spells it.
        config: A dataclass: what a user writes, with defaults; its fields' types are checked against the YAML.
        create: Makes the component from a config and its context; does no I/O.
        signals: What it can carry.
        stability: ``development``, ``alpha``, ``beta`` or ``stable``.
    """

    type: str
    config: builtins.type[Any]
    create: Callable[[Any, Context], Any]
    signals: frozenset[Signal] = ALL_SIGNALS
    stability: str = "alpha"


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of the records of one write.

    Args:
        stored: New records, and records whose state or content moved on.
        duplicates: Records that the store already had, or had better.
    """

    stored: int
    duplicates: int


class Writer(Protocol):
    """The writing side of a store.

    Each method is one transaction where the store has them, all or nothing, and returns only when it is durable.
    Several writers, also in other processes, may write at once.

    Raises:
        RetryableError: Nothing was written; it may succeed later.
        PermanentError: Nothing was written and never will be.
    """

    def write(self, records: Sequence[PlainRecord]) -> WriteResult:
        """Merge records into the store.

        Idempotent, in any order: the store ends up with `merge` of all copies of each key.
        """

    def write_points(self, points: Sequence[PlainPoint]) -> WriteResult:
        """Add data points of metrics; one that the store has, by `observation_id`, is a duplicate."""

    def write_logs(self, logs: Sequence[PlainLog]) -> WriteResult:
        """Add log records; one that the store has, by `observation_id`, is a duplicate."""

    def delete(self, runs: Sequence[str]) -> int:
        """Remove the records of runs, by `run_of`, and the log records that name them; return how many records.

        Their space is given to what is written later. What is delivered again afterwards is stored again.
        """

    def delete_telemetry(self, before: int) -> int:
        """Remove data points and log records from before a moment, in nanoseconds; return how many."""

    def close(self) -> None:
        """Release the store; safe to call twice."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Where a datum was used or generated.

    Args:
        record: The activity.
        role: The role of the value that is, or contains, the datum.
    """

    record: Record
    role: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What came into a store.

    Args:
        records: New records, and records whose state or content moved on, in the order in which they came; each as it
            is now.
        cursor: Where this ends: what to give for what comes after it.
    """

    records: Sequence[Record]
    cursor: str


class Reader(Protocol):
    """The reading side of a store; sees everything that was durable when the call began.

    May be used from several threads, beside writers in this and other processes. What a store cannot do raises
    `UnsupportedError` before anything is read.
    """

    def get(self, record_id: str) -> Record | None:
        """Return the record of an id; of several with the same id and different starts the earliest."""

    def find(self, query: Query) -> Sequence[Record]:
        """Return the records that a query selects, in its order, after its cursor, with its fields.

        Without a sort the order is by start, newest first; ties are broken by id, so that the order is total.
        """

    def count(self, query: Query) -> int:
        """Return how many records the query's filter matches; its sort, limit and cursor are ignored."""

    def aggregate(self, wanted: Aggregation) -> list[dict[str, AnyValue]]:
        """Return figures over groups of records: what `provtel_model.aggregation.aggregate` gives of all of them."""

    def distinct(self, name: str, query: Query) -> list[AnyValue]:
        """Return the values of a field: what `provtel_model.aggregation.distinct` gives of all records."""

    def children(self, record_id: str) -> Sequence[Record]:
        """Return the records whose parent is `record_id`, oldest first."""

    def ancestors(self, record_id: str) -> Sequence[Record]:
        """Return the parent of a record, the parent's parent and so on, up to one that the store lacks."""

    def linked(self, record_ids: Collection[str]) -> Mapping[str, Sequence[Record]]:
        """Return the records that have a link to each record, oldest first; every id is there."""

    def generated(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who generated each datum, by keys of `provtel_model.dataflow`, oldest first; every key is there."""

    def generated_in(
        self, runs: Collection[str], data_keys: Collection[str]
    ) -> tuple[Mapping[str, Sequence[Occurrence]], Collection[str]]:
        """Return what `generated` does, but need not read those who are of other runs than some.

        Args:
            runs: The runs, by `provtel_model.record.run_of`.
            data_keys: Keys of `provtel_model.dataflow`.

        Returns:
            Who generated each datum, and the keys of which others, all of other runs, may be left out.
        """

    def used(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:
        """Return who used each datum, by keys of `provtel_model.dataflow`, oldest first; every key is there."""

    def points(self, window: Window) -> Sequence[PlainPoint]:
        """Return the data points of a window, oldest first; those of one moment by their id."""

    def logs(self, window: Window) -> Sequence[PlainLog]:
        """Return the log records of a window, oldest first; those of one moment by their id."""

    def changes(self, after: str | None, *, limit: int = 1000, wait: float = 0) -> Changes:
        """Return what came into the store after a cursor; at least once: a record may come again, none is left out.

        Args:
            after: The cursor of the answer before; an empty text for the beginning of the store; ``None`` for no
                records and the cursor of now.
            limit: At most so many records.
            wait: Seconds to wait for the first one where there is none yet.

        Raises:
            FilterError: The cursor is none of this store.
        """

    def close(self) -> None:
        """Release the store; safe to call twice."""


@runtime_checkable
class Steady(Protocol):
    """A `Reader` that gives many answers from one snapshot, and is spared to begin anew for each."""

    def steady(self, work: Callable[[], T]) -> T:
        """Run `work`, and answer what its thread asks meanwhile from one snapshot; return what it returned.

        Nothing may be written from inside it. It may be run more than once, where the snapshot did not last.
        """


@runtime_checkable
class StoreConfig(Protocol):
    """The config of an exporter whose store can be read back, by whom the configuration names it to."""

    def location(self) -> str:
        """Return where the store is, as an `OpenReader` takes it; an address may have a password in it."""


@runtime_checkable
class FeedConfig(Protocol):
    """The config of an exporter from whose destination what comes can be watched, and nothing else be asked."""

    def feed(self) -> str:
        """Return where that is, as an `OpenReader` takes it; an address may have a password in it.

        Raises:
            StoreError: It needs what only a collector has.
        """


class OpenReader(Protocol):
    """An entry point of ``provtel.readers``."""

    def __call__(self, location: str) -> Reader:
        """Open the store at a location for reading.

        Raises:
            StoreError: There is no readable store of this kind; the text says what was found.
        """


class OpenWriter(Protocol):
    """An entry point of ``provtel.writers``, under the name that the reader of this kind of store has."""

    def __call__(self, location: str) -> Writer:
        """Open the store at a location for writing, and make it where it is missing.

        Raises:
            StoreError: It cannot be written, or something else is there; the text says what.
        """


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What a drain brought in.

    Args:
        records: Records that were given to the store; it may have had some of them.
        journals: How many journals were looked at.
        elsewhere: Journals that this drain left alone, each with the reason (another destination, another host, in
            the hands of another drainer).
    """

    records: int
    journals: int
    elsewhere: Mapping[Path, str]


class Drain(Protocol):
    """An entry point of ``provtel.drains``."""

    def __call__(self, store: Path) -> DrainReport:
        """Bring the pending journals of a store folder into its LMDB store; return when they are durable.

        Idempotent, and may run while the writers live; journals of other destinations are left alone.

        Raises:
            StoreError: The store cannot be written.
        """
