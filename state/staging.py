"""Temporary tables of one connection: made when missing, emptied, filled fast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import Table
from sqlalchemy.engine import Connection, Dialect

_KEPT, _MAKING = "brokersync_kept_tables", "brokersync_made_tables"
_AT_ONCE = 100  # rows; SQLite takes 32,766 values a statement
_DEAD, _MOST_DEAD = "brokersync_dead_rows", 500


def fresh(connection: Connection, table: Table) -> None:
    """An empty temporary table, for this transaction.

    It is made once a connection; a rolled-back step takes its DDL along, see :func:`watch`. Nobody
    vacuums a server's temporary tables, and rows that were deleted are read again by every step:
    once there are many of them, the table is truncated. (ON COMMIT DELETE ROWS would do that by
    itself, for each table at each commit: half a millisecond a table, also where it is empty.)
    """
    info = connection.info
    if table.name not in info.get(_KEPT, ()) and table.name not in info.get(_MAKING, ()):
        connection.exec_driver_sql(_ddl(table, connection.dialect))
        info.setdefault(_MAKING, set()).add(table.name)
    if connection.dialect.name != "postgresql":
        connection.execute(sa.delete(table))
        return
    dead = info.setdefault(_DEAD, {})
    if dead.get(table.name, 0) > _MOST_DEAD:
        connection.exec_driver_sql(f"TRUNCATE {table.name}")
        dead[table.name] = 0
    else:
        _dies(connection, table, connection.execute(sa.delete(table)).rowcount)


def _dies(connection: Connection, table: Table, rows: int) -> None:
    """So many rows of the table are deleted, or will be."""
    dead = connection.info.setdefault(_DEAD, {})
    dead[table.name] = dead.get(table.name, 0) + rows


def watch(engine: sa.Engine) -> None:
    """Have the connections of an engine know which of their temporary tables are there."""

    def keep(connection: Connection) -> None:
        if made := connection.info.pop(_MAKING, None):
            connection.info.setdefault(_KEPT, set()).update(made)

    def forget(connection: Connection, *_: object) -> None:
        connection.info.pop(_MAKING, None)

    sa.event.listen(engine, "commit", keep)
    sa.event.listen(engine, "rollback", forget)
    sa.event.listen(engine, "rollback_savepoint", forget)


Rows = Sequence[tuple[Any, ...]] | bytes
"""Rows to be put into a table; on PostgreSQL also as the block that COPY reads."""
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = str.maketrans(_ESCAPES)
_NUL = "\0"


def block(rows: Iterable[tuple[Any, ...]]) -> bytes:
    """Rows of texts, whole numbers and blanks in PostgreSQL's text format for COPY.

    Made by whoever prepares a page: row by row through the driver, the thread that stores would
    share the interpreter with the one that reads all the while.
    """
    return "\n".join([*map(_line, rows), ""]).encode()


def _line(row: tuple[Any, ...]) -> str:
    """Most rows hold nothing special, and that is asked of the whole row: a NUL stands for a blank
    until then, for no text holds one."""
    cells = [v if v.__class__ is str else _NUL if v is None else str(v) for v in row]
    line = "\t".join(cells)
    if (
        not any(special in line for special in "\\\n\r")
        and line.count("\t") == len(cells) - 1
        and line.count(_NUL) == row.count(None)
    ):
        return line.replace(_NUL, "\\N")
    return "\t".join(["\\N" if v is None else str(v).translate(_ESCAPED) for v in row])


def fill(connection: Connection, table: Table, rows: Rows | Iterable[tuple[Any, ...]]) -> None:
    """Empty the table and fill it; see :func:`append`."""
    fresh(connection, table)
    append(connection, table, rows)


def append(connection: Connection, table: Table, rows: Rows | Iterable[tuple[Any, ...]]) -> None:
    """Put rows that cannot clash into a table: COPY on PostgreSQL, executemany on SQLite."""
    names = [c.name for c in table.columns]
    cursor: Any = connection.connection.cursor()
    try:
        if connection.dialect.name == "postgresql":
            with cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:
                written = rows if isinstance(rows, bytes) else block(rows)
                copy.write(written)
            _dies(connection, table, written.count(b"\n"))
        else:
            _insert(cursor, table.name, len(names), cast("Iterable[tuple[Any, ...]]", rows))
    finally:
        cursor.close()


def _insert(cursor: Any, name: str, columns: int, rows: Iterable[tuple[Any, ...]]) -> None:
    """So many rows a statement that the driver, which lets other threads go ahead at each, does not
    wait at every row for the one that reads the next page."""
    row = f"({', '.join('?' * columns)})"
    left = iter(rows)
    while len(some := list(islice(left, _AT_ONCE))) == _AT_ONCE:
        marks = ", ".join([row] * _AT_ONCE)
        cursor.execute(f"INSERT INTO {name} VALUES {marks}", [*chain.from_iterable(some)])
    cursor.executemany(f"INSERT INTO {name} VALUES {row}", some)


@lru_cache(maxsize=64)
def _ddl(table: Table, dialect: Dialect) -> str:
    return str(sa.schema.CreateTable(table, if_not_exists=True).compile(dialect=dialect))


def count(connection: Connection, statement: Any, values: Mapping[str, Any] | None = None) -> int:
    """Run an INSERT and say how many rows it made (the drivers forget it otherwise)."""
    done = connection.execute(statement, values, execution_options={"preserve_rowcount": True})
    return int(done.rowcount)
