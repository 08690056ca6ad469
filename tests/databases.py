"""Real database servers for the tests: the machine's own, else a private one, else a clear skip."""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

POSTGRES = os.environ.get(
    "BROKERSYNC_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
)
MARIADB = os.environ.get("BROKERSYNC_TEST_MARIADB", "mysql+pymysql://root@127.0.0.1:3306/mysql")


def unavailable(reason: str) -> None:
    """Skip with the reason; under CI a database test that cannot run is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (under CI a skipped database test is a failure)")
    pytest.skip(reason)


def _answers(url: str) -> bool:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("select 1"))
    except sa.exc.OperationalError:
        return False
    return True


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """A database of our own on the server; dropped afterwards."""
    name = f"brokersync_test_{os.getpid()}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    admin = sa.create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    force = " WITH (FORCE)" if admin.dialect.name == "postgresql" else ""
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}{force}")
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        if force:  # no test pulls the plug: nobody need wait for the disk
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        yield sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}{force}")


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL database: the running server's, else a private server's; else skip."""
    if _answers(POSTGRES):
        with database(POSTGRES) as url:
            yield url
        return
    binaries = shutil.which("initdb") or next(
        iter(sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True)), None
    )
    if binaries is None:
        unavailable("no PostgreSQL server answers and its binaries are not installed")
        return
    with _private_postgres(Path(binaries).parent) as server, database(server) as url:
        yield url


@contextmanager
def _private_postgres(binaries: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="brokersync-pg-") as folder:
        user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        if user:
            shutil.chown(folder, user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        data = f"{folder}/data"
        run = {"stdout": subprocess.DEVNULL, "user": user, "cwd": folder}
        initdb = [str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "postgres"]
        subprocess.run(initdb, check=True, **run)  # type: ignore[call-overload]
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        control = [str(binaries / "pg_ctl"), "-D", data, "-w"]
        subprocess.run([*control, "-l", f"{folder}/log", "-o", options, "start"], check=True, **run)  # type: ignore[call-overload]
        try:
            url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
            for _ in range(50):
                if _answers(url):
                    break
                time.sleep(0.1)
            yield url
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, **run)  # type: ignore[call-overload]


@contextmanager
def mariadb() -> Iterator[str]:
    """A MariaDB database on the running server; else skip."""
    if not _answers(MARIADB):
        unavailable("no MariaDB server answers at BROKERSYNC_TEST_MARIADB")
    with database(MARIADB) as url:
        yield url
