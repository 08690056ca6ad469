"""The database's schema: the frozen migrations make exactly what the code expects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from mapping.errors import ConfigError, RetryableError
from state import schema, sweep
from state.store import Store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store over an empty database of each engine."""
    made = Store(database_url)
    yield made
    made.close()


def described(store: Store) -> dict[str, Any]:
    """What the database itself says of its tables (fact columns have no promised order)."""
    with store.engine.connect() as connection:
        if store.postgres:
            columns = connection.exec_driver_sql(
                "SELECT table_name, column_name, data_type, is_nullable, column_default, "
                "collation_name, ordinal_position FROM information_schema.columns "
                "WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
            ).all()
            indexes = connection.exec_driver_sql(
                "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' "
                "AND tablename <> 'alembic_version'"
            ).all()
            places = {tuple(c[:-1]) if c[0] == "fact" else tuple(c) for c in columns}
            return {"columns": places, "indexes": {i[0] for i in indexes}}
        rows = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE tbl_name <> 'alembic_version' "
            "AND sql IS NOT NULL"
        ).all()
        tables = {name: " ".join(sql.split()) for name, sql in rows}
        tables["fact"] = str(sorted(tables["fact"].split("(", 1)[1].split(",")))
        return tables


def test_the_migrations_make_the_schema_of_the_code(store: Store) -> None:
    store.migrate()
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []


def test_they_make_it_to_the_letter(store: Store) -> None:
    """Collations, WITHOUT ROWID, partial indexes: what a comparison of models does not see."""
    store.migrate()
    migrated = described(store)
    with store.engine.begin() as connection:
        schema.metadata.drop_all(connection)
        schema.metadata.create_all(connection)
    assert migrated == described(store)


def test_migrating_again_changes_nothing(store: Store) -> None:
    store.migrate()
    _insert_clients(store)
    before = described(store)
    store.migrate()
    assert described(store) == before
    assert _swept(store) == {}


def test_migrating_again_takes_no_write_lock(database_url: str) -> None:
    first, second = Store(database_url), Store(database_url)
    first.migrate()
    with first.engine.begin() as writing:
        writing.execute(sa.insert(schema.batch).values(id=1))
        second.migrate()  # would wait 30 s on SQLite if it wanted to write
    first.close()
    second.close()


def test_a_fact_without_a_column_gets_one_and_touches_every_client(store: Store) -> None:
    store.migrate()
    _insert_clients(store)
    with store.engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        operations.drop_column("fact", "chargebacks_open")
        operations.drop_column("fact", "kyc_gap")
    store.migrate()
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []
        columns = {c["name"]: c["type"] for c in sa.inspect(connection).get_columns("fact")}
    assert isinstance(columns["chargebacks_open"], sa.BigInteger)
    assert isinstance(columns["kyc_gap"], sa.Text)
    assert _swept(store) == {"north": 2, "south": 1}


def _back_to(connection: sa.Connection, version: str) -> None:
    """Undo what the migrations since did to tables that were there before."""
    operations = Operations(MigrationContext.configure(connection))
    operations.drop_column("payment", "reached_at")
    for table, column in (("fact", "facts_due_at"), ("profile", "due_at")):
        operations.drop_index(f"{table}_due", table)
        operations.create_index(f"ix_{table}_{column}", table, [column])
    connection.execute(sa.text("UPDATE alembic_version SET version_num = :v"), {"v": version})


def test_partners_of_before_become_companies(store: Store) -> None:
    store.migrate()
    p, t = schema.partner, schema.touched_partner
    with store.engine.begin() as connection:
        for source in ("a", "b"):
            row = {"brand": "north", "client_id": "", "source": source, "external_id": "A-1"}
            connection.execute(sa.insert(p).values(**row, ref_kind="partner", ref_value="A-1"))
        operations = Operations(MigrationContext.configure(connection))
        operations.drop_table("sweep")
        operations.drop_table("touched_partner")
        operations.drop_table("crm_off")
        operations.drop_table("late_family")
        operations.drop_table("outage")
        operations.drop_table("digest")
        operations.drop_index("episode_digest", "episode")
        operations.drop_column("episode", "digest")
        _back_to(connection, "0002")
    store.migrate()
    with store.engine.connect() as connection:
        assert connection.execute(sa.select(t)).all() == [("north", "A-1")]


def test_payments_of_before_know_when_they_reached_their_status(store: Store) -> None:
    store.migrate()
    p = schema.payment
    with store.engine.begin() as connection:
        for number, status_at in (("1", 30), ("2", 40)):
            row = {"brand": "north", "client_id": "C1", "source": "psp", "external_id": number}
            row |= {"status": "succeeded", "status_at": status_at}
            connection.execute(sa.insert(p).values(**row))
        for attempt, status, at in ((0, "succeeded", 20), (0, "failed", 5), (1, "succeeded", 7)):
            reached = {"source": "psp", "kind": "payment", "external_id": "1"}
            reached |= {"attempt": attempt, "status": status, "first_at": at}
            connection.execute(sa.insert(schema.milestone).values(**reached))
        Operations(MigrationContext.configure(connection)).drop_table("sweep")
        _back_to(connection, "0005")
    store.migrate()
    with store.engine.connect() as connection:
        reached_at = sa.select(p.c.external_id, p.c.reached_at).order_by(p.c.external_id)
        assert connection.execute(reached_at).all() == [("1", 20), ("2", 40)]


def test_a_newer_database_is_refused(store: Store) -> None:
    store.migrate()
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match=r"newer brokersync: upgrade the program") as caught:
        store.migrate()
    assert "9999" not in str(caught.value)


def test_a_folder_that_is_not_there_is_for_the_admin(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'nowhere' / 'hub.db'}")
    with pytest.raises(ConfigError, match=r"unable to open database file.*setting `database`"):
        store.migrate()
    store.close()


def test_a_file_that_is_no_database_is_for_the_admin(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    path.write_text("Dear diary, " * 100, encoding="utf-8")
    store = Store(f"sqlite:///{path}")
    with pytest.raises(ConfigError, match=r"not a database.*setting `database`"):
        store.migrate()
    store.close()


def test_a_server_without_that_database_is_for_the_admin(postgres_url: str) -> None:
    url = sa.make_url(postgres_url).set(database="no_such_database_here")
    store = Store(url.render_as_string(hide_password=False))
    with pytest.raises(ConfigError, match=r"does not exist"):
        store.migrate()
    store.close()


def test_a_server_that_does_not_answer_is_tried_again() -> None:
    store = Store("postgresql+psycopg://nobody:hunter2@127.0.0.1:9/hub")
    with pytest.raises(RetryableError) as caught:
        store.migrate()
    assert "hunter2" not in str(caught.value) + caught.value.log
    store.close()


def _insert_clients(store: Store) -> None:
    rows = [
        {"brand": brand, "external_id": client, "client_id": client, "source": "registry"}
        for brand, client in (("north", "C1"), ("north", "C2"), ("south", "C1"))
    ]
    with store.engine.begin() as connection:
        connection.execute(sa.insert(schema.client), rows)


def _swept(store: Store) -> dict[str, int]:
    """Brand -> how many of its clients are to be computed again."""
    with store.engine.connect() as connection:
        places = sweep.begun(connection, ["north", "south"])
        found = {b: list(sweep.ranges(connection, b, after, 1)) for b, after in places.items()}
    return {brand: len(ranges) for brand, ranges in found.items()}
