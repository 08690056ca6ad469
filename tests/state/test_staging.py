"""Temporary tables from transaction to transaction, and the planner's idea of the lasting ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
import sqlalchemy as sa

from state import schema, staging, statistics
from state.store import Store

SCRATCH = sa.Table(
    "scratch", sa.MetaData(), sa.Column("word", sa.Text), prefixes=["TEMPORARY"]
)  # fmt: skip
MIXED = sa.Table(
    "mixed", sa.MetaData(), sa.Column("a", sa.Text), sa.Column("n", sa.BigInteger),
    sa.Column("b", sa.Text), prefixes=["TEMPORARY"],
)  # fmt: skip
MANY = 2_000


class _LostError(Exception):
    """The step failed."""


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    found = Store(database_url)
    found.migrate()
    yield found
    found.close()


def words(connection: sa.Connection) -> list[str]:
    return sorted(connection.scalars(sa.select(SCRATCH.c.word)))


def lose(store: Store) -> None:
    """A step that fills the table and fails."""
    with suppress(_LostError), store.transaction("test") as connection:
        staging.fill(connection, SCRATCH, [("lost",)])
        raise _LostError


def test_it_is_empty_at_each_start(store: Store) -> None:
    for n in range(3):
        with store.transaction("test") as connection:
            staging.fill(connection, SCRATCH, [(str(n),)])
            assert words(connection) == [str(n)]
            staging.fill(connection, SCRATCH, [("again",)])
            assert words(connection) == ["again"]


def test_whatever_rows_hold_arrives(store: Store) -> None:
    rows = [
        ("plain", 1, "text"), ("", 0, ""), (None, None, None), ("none beside it", None, "x"),
        ("a\ttab", 2, "x"), ("two\nlines", -3, "x\r"), ("back\\slash", 4, "\\N"),
        ("\\.", 5, '{"a": "\\u0000 \\"quoted\\""}'), ("ünï\U0001f600", 2**53, "\t"),
    ]  # fmt: skip
    with store.transaction("test") as connection:
        for given in (rows, staging.block(rows) if store.postgres else rows):
            staging.fill(connection, MIXED, given)
            found = connection.execute(sa.select(MIXED.c.a, MIXED.c.n, MIXED.c.b)).all()
            assert [tuple(row) for row in found] == rows


def test_a_text_with_a_nul_is_no_blank() -> None:
    """No database takes one; it must not arrive as something else."""
    assert staging.block([("a\0b", None)]) == b"a\0b\t\\N\n"


def test_a_step_that_is_taken_back_takes_its_table_along(store: Store) -> None:
    lose(store)
    for word in ("kept", "later"):
        with store.transaction("test") as connection:
            staging.fill(connection, SCRATCH, [(word,)])
            assert words(connection) == [word]
    # It was there before this one, and stays.
    lose(store)
    with store.transaction("test") as connection:
        staging.fill(connection, SCRATCH, [("last",)])
        assert words(connection) == ["last"]


def test_a_savepoint_that_is_taken_back_takes_it_along(store: Store) -> None:
    with store.transaction("test") as connection:
        nested = connection.begin_nested()
        staging.fill(connection, SCRATCH, [("lost",)])
        nested.rollback()
        staging.fill(connection, SCRATCH, [("kept",)])
        assert words(connection) == ["kept"]


def test_many_deleted_rows_are_not_read_again_by_a_server(postgres_url: str) -> None:
    store = Store(postgres_url)
    store.migrate()
    size = sa.text("SELECT pg_relation_size('scratch')")
    with store.transaction("test") as connection:
        staging.fill(connection, SCRATCH, [(str(n),) for n in range(MANY)])
        full = connection.scalar(size)
    with store.transaction("test") as connection:
        staging.fresh(connection, SCRATCH)
        assert full > 0
        assert connection.scalar(size) == 0
    store.close()


def test_the_planner_knows_a_table_that_has_grown(store: Store) -> None:
    known = sa.text("SELECT reltuples FROM pg_class WHERE relname = 'touched'")
    rows = [{"brand": "alpha", "client_id": str(n)} for n in range(MANY)]
    with store.transaction("test") as connection:
        connection.execute(sa.insert(schema.touched), rows)
        statistics.refresh(connection)
        if store.postgres:
            assert connection.scalar(known) == MANY
