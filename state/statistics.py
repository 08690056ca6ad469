"""How big the tables are, as PostgreSQL's planner knows it.

It knows nothing of a table until somebody says ANALYZE, and its own worker comes once a minute: by
then a first sync has joined tens of thousands of rows with tables that were taken for empty, row by
row. SQLite plans by its indexes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles

from state import schema

_LEAST_PAGES = 2
_GROWN = sa.text(
    "SELECT relname FROM pg_class WHERE relnamespace = CAST(current_schema() AS regnamespace)"
    " AND relkind = 'r' AND pg_relation_size(oid) >"
    " (2 * relpages + :least) * CAST(current_setting('block_size') AS bigint)"
)


class _Analyze(sa.schema.ExecutableDDLElement):
    def __init__(self, table: sa.Table) -> None:
        self.table = table


@compiles(_Analyze)
def _analyze(element: _Analyze, compiler: Any, **_: Any) -> str:
    """Of the columns that tables are joined and looked up by: the rest (raw rows of kilobytes among
    it) takes five times as long to read, and no plan depends on it."""
    table, quoted = element.table, compiler.preparer
    keys = {c.name for index in table.indexes for c in index.columns} | {
        c.name for c in table.primary_key
    }
    columns = ", ".join(quoted.quote(c.name) for c in table.columns if c.name in keys)
    return f"ANALYZE {quoted.format_table(table)} ({columns})"


@contextmanager
def planned_anew(connection: Connection, *, by_range: bool = False) -> Iterator[None]:
    """Have PostgreSQL plan each statement for what it is asked just then.

    Of statements over temporary tables, it would keep a plan made for ten rows, and follow it with
    ten thousand. To plan one costs as much as to compute a few clients.

    Args:
        by_range: everything joined is read by a range, and is met by hashing or merging. Of a range
            of texts the planner expects one row, and it would compare all with all. Else everything
            is looked up: of a table it knows nothing of it expects more than a list has, and of a
            client more records than there are, and it would read whole tables.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.execute(_ANEW)
    connection.execute(_NO_LOOKUPS if by_range else _LOOKUPS_ONLY)
    yield
    for setting in (_USUAL, _AND_LOOKUPS if by_range else _AND_SCANS):
        connection.execute(setting)


_ANEW = sa.text("SET LOCAL plan_cache_mode = force_custom_plan")
_USUAL = sa.text("SET LOCAL plan_cache_mode = auto")
_NO_LOOKUPS = sa.text("SET LOCAL enable_nestloop = off")
_AND_LOOKUPS = sa.text("SET LOCAL enable_nestloop TO DEFAULT")
_LOOKUPS_ONLY = sa.text("SET LOCAL random_page_cost = 1")
_AND_SCANS = sa.text("SET LOCAL random_page_cost TO DEFAULT")


def refresh(connection: Connection) -> None:
    """Have the tables counted that have doubled since they were last."""
    if connection.dialect.name != "postgresql":
        return
    grown = set(connection.scalars(_GROWN, {"least": _LEAST_PAGES}))
    for table in schema.metadata.sorted_tables:
        if table.name in grown:
            connection.execute(_Analyze(table))
