"""A store that nothing was ever written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provtel_model.aggregation import aggregate, distinct
from provtel_model.components import Changes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from provtel_model.aggregation import Aggregation
    from provtel_model.anyvalue import AnyValue
    from provtel_model.components import Occurrence
    from provtel_model.filters import Query
    from provtel_model.record import Record
    from provtel_model.telemetry import PlainLog, PlainPoint, Window


class EmptyReader:
    """The `provtel_model.components.Reader` that finds nothing."""

    def get(self, record_id: str) -> Record | None:  # noqa: ARG002, D102  # as Reader says
        return None

    def find(self, query: Query) -> Sequence[Record]:  # noqa: ARG002, D102
        return ()

    def count(self, query: Query) -> int:  # noqa: ARG002, D102
        return 0

    def children(self, record_id: str) -> Sequence[Record]:  # noqa: ARG002, D102
        return ()

    def linked(self, record_id: str) -> Sequence[Record]:  # noqa: ARG002, D102
        return ()

    def aggregate(self, wanted: Aggregation) -> list[dict[str, AnyValue]]:  # noqa: D102
        return aggregate((), wanted)

    def distinct(self, name: str, query: Query) -> list[AnyValue]:  # noqa: D102
        return distinct((), name, query)

    def ancestors(self, record_id: str) -> Sequence[Record]:  # noqa: ARG002, D102
        return ()

    def generated(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:  # noqa: D102
        return dict.fromkeys(data_keys, ())

    def used(self, data_keys: Collection[str]) -> Mapping[str, Sequence[Occurrence]]:  # noqa: D102
        return dict.fromkeys(data_keys, ())

    def points(self, window: Window) -> Sequence[PlainPoint]:  # noqa: ARG002, D102
        return ()

    def logs(self, window: Window) -> Sequence[PlainLog]:  # noqa: ARG002, D102
        return ()

    def changes(self, after: str | None, *, limit: int = 1000, wait: float = 0) -> Changes:  # noqa: ARG002, D102
        return Changes((), "")

    def close(self) -> None:  # noqa: D102
        return
