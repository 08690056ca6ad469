"""The export's database: away, of something else, slow, and never written to."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from mapping.errors import ConfigError, ProtocolError, RetryableError
from tests.connectors.mt5_rig import Make, Mt5Rig, deposit, one


def test_a_server_that_is_away_and_settings_that_are_wrong(make: Make, tmp_path: Path) -> None:
    rig = make(one(deposit()))
    parts = sa.make_url(rig.url)
    if parts.get_backend_name() == "sqlite":
        with pytest.raises(ConfigError, match="does not exist"):
            rig.source(url=f"sqlite:///{tmp_path / 'none.db'}")
        assert not (tmp_path / "none.db").exists()
        return
    wrong = parts.set(database="no_such_database").render_as_string(hide_password=False)
    with pytest.raises(ConfigError, match="trading"):
        rig.source(url=wrong).check()
    away = parts.set(port=1, password="hunter2").render_as_string(hide_password=False)
    source = rig.source(url=away)
    with pytest.raises(RetryableError, match="trading") as caught:
        list(source.pull(None))
    assert "hunter2" not in repr(caught.value) + repr(source.settings)
    rig.close()


def test_it_cannot_write(make: Make) -> None:
    rig = make(one(deposit()))
    source = rig.source()
    deals = rig.fake.tables["mt5_deals"]
    with (
        source._database.connect() as reader,
        pytest.raises(sa.exc.DBAPIError),
        reader.connection.begin(),
    ):
        reader.connection.execute(sa.delete(deals))
    rig.close()


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_database"])
def test_a_statement_that_runs_too_long_is_stopped(
    request: pytest.FixtureRequest, server: str
) -> None:
    rig = Mt5Rig(request.getfixturevalue(server), one(deposit()))
    source = rig.source(statement_timeout_s=1)
    nap = sa.func.pg_sleep(9) if server == "postgres_url" else sa.func.sleep(9)
    with source._database.connect() as reader:
        table = rig.fake.tables["mt5_deals"]
        with pytest.raises(RetryableError, match="statement_timeout_s"):
            reader.rows(sa.select(nap).select_from(table))
    rig.close()


def test_a_database_of_something_else_is_named(lite: Make) -> None:
    rig = lite(one(deposit()))
    with rig.fake.engine.begin() as connection:
        connection.exec_driver_sql('ALTER TABLE mt5_deals DROP COLUMN "Storage"')
        connection.exec_driver_sql("DROP TABLE mt5_deals_2025")
        connection.exec_driver_sql("DROP TABLE mt5_deals_2026")
    with pytest.raises(ConfigError, match=r"no MetaTrader export.*Storage"):
        list(rig.source().pull(None))


def test_the_page_bound_is_named(lite: Make) -> None:
    rig = lite()
    with pytest.raises(ProtocolError, match=r"trading.*max_pages"):
        list(rig.source(max_pages=1).pull(None))
