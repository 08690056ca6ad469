"""Temporary tables of one connection: made when missing, emptied, filled fast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Table
from sqlalchemy.engine import Connection, Dialect


def fresh(connection: Connection, table: Table) -> None:
    """An empty temporary table. IF NOT EXISTS each time: a rolled-back step takes its DDL along."""
    connection.exec_driver_sql(_ddl(table, connection.dialect))
    connection.execute(sa.delete(table))


def fill(connection: Connection, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Empty the table and fill it; see :func:`append`."""
    fresh(connection, table)
    append(connection, table, rows)


def append(connection: Connection, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Put rows that cannot clash into a table: COPY on PostgreSQL, executemany on SQLite."""
    names = [c.name for c in table.columns]
    cursor: Any = connection.connection.cursor()
    try:
        if connection.dialect.name == "postgresql":
            with cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join("?" * len(names))
            cursor.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)
    finally:
        cursor.close()


@lru_cache(maxsize=64)
def _ddl(table: Table, dialect: Dialect) -> str:
    return str(sa.schema.CreateTable(table, if_not_exists=True).compile(dialect=dialect))


def count(connection: Connection, statement: Any, values: Mapping[str, Any] | None = None) -> int:
    """Run an INSERT and say how many rows it made (the drivers forget it otherwise)."""
    done = connection.execute(statement, values, execution_options={"preserve_rowcount": True})
    return int(done.rowcount)
