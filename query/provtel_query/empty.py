"""A store that nothing was ever written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provtel_model.components import Occurrence
    from provtel_model.filters import Query
    from provtel_model.record import Record


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

    def generated(self, data_key: str) -> Sequence[Occurrence]:  # noqa: ARG002, D102
        return ()

    def used(self, data_key: str) -> Sequence[Occurrence]:  # noqa: ARG002, D102
        return ()

    def close(self) -> None:  # noqa: D102
        return
