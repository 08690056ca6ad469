"""Shared fixtures: real databases, and an environment without the product's own variables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests import databases, rig

for _name in [n for n in os.environ if n.startswith(("BROKERSYNC_", "HUBSPOT_"))]:
    if not _name.startswith("BROKERSYNC_TEST_"):
        del os.environ[_name]


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: some tests wait for a program that waits for the clock."""
    return (os.cpu_count() or 1) + 1


_LONGEST = ("tests/sync/test_truth", "tests/cli/test_run", "tests/sync/test_run_world")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first: the last worker to finish is then left with short ones."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


@pytest.fixture(autouse=True)
def _stores_closed() -> Iterator[None]:
    """A hub that a test leaves behind keeps no connection open."""
    yield
    while rig.OPENED:
        rig.OPENED.pop().close()


@pytest.fixture(scope="session")
def postgres_database() -> Iterator[str]:
    """URL of this worker's PostgreSQL database."""
    with databases.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_database() -> Iterator[str]:
    """URL of this worker's MariaDB database."""
    with databases.mariadb() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_database: str) -> str:
    """An empty PostgreSQL database."""
    engine = sa.create_engine(postgres_database, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    return postgres_database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each supported engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.db'}"
    return str(request.getfixturevalue("postgres_url"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a test takes place: the hub's empty database, and a CRM."""

    database: str
    crm: str


@pytest.fixture(params=["sqlite-hubspot", "postgresql-hubspot", "sqlite-salesforce"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each engine, and each CRM: how they are used together makes no difference."""
    engine, crm = request.param.split("-")
    if engine == "sqlite":
        return Place(f"sqlite:///{tmp_path / 'hub.db'}", crm)
    return Place(str(request.getfixturevalue("postgres_url")), crm)


@pytest.fixture(params=["hubspot", "salesforce"])
def crm(request: pytest.FixtureRequest) -> str:
    """Each CRM."""
    return str(request.param)
