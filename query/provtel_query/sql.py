"""Questions in SQL, answered by DuckDB over the records of a store.

The tables are ``tasks``, ``workflows``, ``records`` (activities of every kind), ``entities``, ``agents`` and
``campaigns``, of all runs. The columns are those of `provtel_query.frames`, but that the members of a map are members
of a struct: ``used.lr``, ``telemetry."cpu.user"``. A table that a question names is read whole into memory first;
nothing else can be reached: no file, no network, no variable of the program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from provtel_model.errors import FilterError
from provtel_model.extras import need_packages

from provtel_query.entities import ENTITY_COLUMNS
from provtel_query.frames import ALWAYS, NESTED, arrow_table

if TYPE_CHECKING:
    from provtel_query.store import Store


@dataclass(frozen=True, slots=True)
class _Table:
    """A table.

    Args:
        rows: Returns what is in it.
        columns: The columns that it has even where nothing is in it.
    """

    rows: Callable[[Any], Sequence[Any]]
    columns: tuple[str, ...] = ALWAYS


TABLES: Final[Mapping[str, _Table]] = {
    "tasks": _Table(lambda store: store.tasks(all_runs=True, limit=None)),
    "workflows": _Table(lambda store: store.workflows(limit=None)),
    "records": _Table(lambda store: store.records()),
    "entities": _Table(lambda store: store.entities(all_runs=True, limit=None), ENTITY_COLUMNS),
    "agents": _Table(lambda store: store.agents(), ("agent.id", "activities", "failed")),
    "campaigns": _Table(lambda store: store.campaigns(), ("campaign_id", "workflows", "failed")),
}
_SAFE: Final[dict[str, str | bool | int | float | list[str]]] = {
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
}


def answer(store: Store, question: str) -> Any:
    """Return the answer to one ``select`` as a table of Arrow.

    Raises:
        FilterError: It is no single ``select``, or names what is not there.
        UserError: duckdb or pyarrow is not installed.
    """
    need_packages("SQL", "frames", "duckdb", "pyarrow")
    import duckdb

    with duckdb.connect(config=_SAFE) as connection:
        try:
            _check(connection, question)
            named = {name.strip('"').lower() for name in connection.get_table_names(question)}
            for name, table in TABLES.items():
                if name in named:
                    rows = table.rows(store)
                    connection.register(name, _nested(arrow_table(rows, None if rows else table.columns)))
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
            return connection.sql(question).to_arrow_table()
        except duckdb.Error as error:
            raise FilterError(f"the question in SQL is not understood: {error}; the tables are {_names()}") from error


def _check(connection: Any, question: str) -> None:
    import duckdb

    statements = connection.extract_statements(question)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise FilterError("a question in SQL is one select; the tables are " + _names())


def _names() -> str:
    return ", ".join(TABLES)


def _nested(table: Any) -> Any:
    """Return a table in which the members of each map are one struct; names that SQL cannot tell apart are numbered."""
    import pyarrow as pa

    flat: dict[str, Any] = {}
    members: dict[str, dict[str, Any]] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        top, _, rest = name.partition(".")
        if rest and top in NESTED:
            members.setdefault(top, {})[_free(rest, members.get(top, {}))] = column
        else:
            flat[name] = column
    for top, columns in members.items():
        arrays = [column.combine_chunks() for column in columns.values()]
        flat[top] = pa.StructArray.from_arrays(arrays, names=[*columns])
    return pa.table(flat)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    known = {other.casefold() for other in taken}
    number, free = 1, name or "_"
    while free.casefold() in known:
        number += 1
        free = f"{name}_{number}"
    return free
