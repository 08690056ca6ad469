"""Facts of everybody in a range of clients, in one statement of PostgreSQL.

The small tables that facts are worked out in are here its subqueries, of the same names: a name in
WITH hides a table's. Nothing is written that is read once, and whatever is joined is read by the
range and met by hashing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Integer, Table, select

from state import schema
from state.fact_views import temporary

Part = tuple[Table, sa.Select[Any]]
"""A small table, and the query that fills it."""

WORKED_OUT = Table(
    "worked_out", temporary,
    Column("nr", Integer),
    *[Column(c.name, c.type) for c in schema.fact.columns if c.name != "brand"],
    prefixes=["TEMPORARY"],
)  # fmt: skip
"""All facts of the range's clients, but for those of the calendar."""


def working_out(parts: Sequence[Part], facts: sa.Select[Any]) -> sa.Insert:
    """Fill :data:`WORKED_OUT`.

    Args:
        parts: whatever ``facts`` reads beside what is stored.
    """
    names = [c.name for c in WORKED_OUT.columns]
    found = facts.subquery("found")
    statement = sa.insert(WORKED_OUT).from_select(names, select(*[found.c[n] for n in names]))
    for table, query in parts:
        rows = query.subquery(f"rows_of_{table.name}")
        columns = zip(rows.c, table.columns, strict=True)
        named = select(*[column.label(own.name) for column, own in columns])
        # Recursive: so they may name each other in any order.
        statement = statement.add_cte(
            named.cte(table.name, recursive=True).prefix_with("MATERIALIZED")
        )
    return statement
