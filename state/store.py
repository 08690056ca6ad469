"""The hub's database: the engine, the one ``transaction()`` helper, migrations and rehearsals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection

from mapping.errors import ConfigError, RetryableError

Boundary = Callable[[str], None]
_MIGRATIONS = Path(__file__).parent / "migrations"


def _no_boundary(name: str) -> None:
    del name


class Store:
    """One database, SQLite or PostgreSQL.

    Args:
        url: SQLAlchemy URL; ``sqlite:///file.db`` or ``postgresql+psycopg://...``.
        boundary: told the name of each moment before, at and after a commit.

    Raises:
        ConfigError: the URL cannot be read or its driver is missing.
    """

    def __init__(self, url: str, boundary: Boundary = _no_boundary) -> None:
        self.boundary = boundary
        self._rehearsal: Connection | None = None
        try:
            self.engine = _engine(url)
        except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
            raise ConfigError(
                "the setting `database` is not a usable URL: write sqlite:///brokersync.db or "
                f"postgresql+psycopg://user@host/name ({type(error).__name__})"
            ) from None

    @property
    def postgres(self) -> bool:
        """Whether the engine is PostgreSQL."""
        return self.engine.dialect.name == "postgresql"

    def migrate(self) -> None:
        """Bring the schema to this version.

        Raises:
            ConfigError: the database was made by a newer version, or cannot be written.
            RetryableError: the server does not answer.
        """
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        try:
            with self.engine.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except sa.exc.OperationalError as error:
            raise _unreachable(error) from None
        except command.util.CommandError:
            raise ConfigError(
                "the database was made by a newer brokersync: upgrade the program"
            ) from None

    @contextmanager
    def transaction(self, name: str) -> Iterator[Connection]:
        """One atomic step. Its three moments are announced: before, commit, after.

        Raises:
            RetryableError: the database is away, locked for too long or full.
        """
        self.boundary(f"before:{name}")
        try:
            with self._begin() as connection:
                yield connection
                self.boundary(f"commit:{name}")
        except sa.exc.OperationalError as error:
            raise _unreachable(error) from None
        self.boundary(f"after:{name}")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads."""
        if self._rehearsal is not None:
            yield self._rehearsal
            return
        try:
            with self.engine.connect().execution_options(brokersync_reads=True) as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise _unreachable(error) from None

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """All transactions inside happen for real and are taken back at the end."""
        with self.engine.connect() as connection:
            outer = connection.begin()
            self._rehearsal = connection
            try:
                yield
            finally:
                self._rehearsal = None
                outer.rollback()

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        if self._rehearsal is not None:
            with self._rehearsal.begin_nested():
                yield self._rehearsal
            return
        with self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def _engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = sa.create_engine(parsed, connect_args={"timeout": 30})
        sa.event.listen(engine, "connect", _sqlite_connect)
        sa.event.listen(engine, "begin", _sqlite_begin)
        return engine
    if parsed.get_backend_name() != "postgresql":
        raise ConfigError(
            f"the setting `database` names {parsed.get_backend_name()!r}: SQLite and PostgreSQL "
            "are supported"
        )
    return sa.create_engine(parsed, pool_pre_ping=True)


def _sqlite_connect(connection: Any, record: object) -> None:
    del record
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # an acknowledgement must survive a power cut
        "busy_timeout=30000",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-32000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    if connection.get_execution_options().get("brokersync_reads"):
        connection.exec_driver_sql("BEGIN")
        return
    # IMMEDIATE: a transaction that will write takes its place in the queue at once, so that it
    # cannot fail half-way because another writer came between its read and its write.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _unreachable(error: sa.exc.OperationalError) -> RetryableError:
    cause = str(error.orig).splitlines()[0] if error.orig else type(error).__name__
    return RetryableError(f"the hub's database cannot be used right now: {cause[:200]}")
