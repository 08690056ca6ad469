"""The hub's database: the engine, the one ``transaction()`` helper, migrations and rehearsals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.engine import Connection

from mapping.errors import ConfigError, RetryableError
from state import fact_columns, schema, staging
from state.carrier import Carrier

Boundary = Callable[[str], None]
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 7_220_001  # any number of our own
_CARRIED = "brokersync_log_is_carried"
_REPEATABLE = "brokersync_repeatable"
_NEED_NOT_WAIT = sa.text("SET LOCAL synchronous_commit = off")


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
        self._writing = threading.RLock()
        self._carrier: Carrier | None = None
        try:
            self.engine = _engine(url)
            staging.watch(self.engine)
        except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
            raise ConfigError(
                "the setting `database` is not a usable URL: write sqlite:///brokersync.db or "
                f"postgresql+psycopg://user@host/name ({type(error).__name__})"
            ) from None

    @property
    def postgres(self) -> bool:
        """Whether the engine is PostgreSQL."""
        return self.engine.dialect.name == "postgresql"

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database, where it is named as one."""
        name = self.engine.url.database or ""
        named = name and not self.postgres and not name.startswith((":", "file:"))
        return Path(name).absolute() if named else None

    def prove_writable(self) -> None:
        """Write something and take it back.

        Raises:
            RetryableError: the database is away, locked for too long, full, or may only be read.
        """
        with self._rolled_back() as connection:
            connection.execute(sa.insert(schema.touched).values(brand="", client_id=""))

    @contextmanager
    def _rolled_back(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection, connection.begin() as outer:
                yield connection
                outer.rollback()
        except sa.exc.OperationalError as error:
            raise _unreachable(error) from None

    def migrate(self) -> None:
        """Bring the schema to this version.

        Raises:
            ConfigError: the database was made by a newer version, or cannot be written.
            RetryableError: the server does not answer.
        """
        try:
            if self._up_to_date():
                return
            with self.engine.begin() as connection:
                if self.postgres:  # SQLite's BEGIN IMMEDIATE lets one in already
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                command.upgrade(_alembic(connection), "head")
                fact_columns.add_missing(connection)
        except CommandError:
            raise ConfigError(
                "the database was made by a newer brokersync: upgrade the program, or give the "
                "setting `database` another database"
            ) from None
        except sa.exc.DatabaseError as error:
            if isinstance(error, sa.exc.OperationalError) and not _for_an_admin(error):
                raise _unreachable(error) from None
            raise ConfigError(
                f"the hub's tables cannot be made in its database: {_cause(error)}. Check the "
                "setting `database`: the file or server, and the right to write and create there"
            ) from None

    def _up_to_date(self) -> bool:
        """Whether there is nothing to do; asked without taking the place of a writer."""
        with self.engine.connect().execution_options(brokersync_reads=True) as connection:
            found = MigrationContext.configure(connection).get_current_revision()
            head = ScriptDirectory.from_config(_alembic(connection)).get_current_head()
            return found == head and not fact_columns.missing(connection)

    def transaction(
        self, name: str, *, repeatable: bool = False
    ) -> AbstractContextManager[Connection]:
        """One atomic step. Its three moments are announced: before, commit, after.

        The threads of a process take turns, as SQLite would have them do anyway: a projection must
        not forget that a client was touched while another thread brings news of that client.

        Args:
            repeatable: if a power cut took the step back, with it would go the cursor that says so,
                and it would be done again: the commit does not wait for the disk. Whatever is
                committed later and does wait, has it written, too.

        Raises:
            RetryableError: the database is away, locked for too long or full.
        """
        return self._step(name, self._writing, repeatable)

    def beside(self, name: str) -> AbstractContextManager[Connection]:
        """The same, without a turn: of records that no other thread writes meanwhile."""
        return self._step(name, nullcontext())

    @contextmanager
    def _step(
        self, name: str, turn: AbstractContextManager[Any], repeatable: bool = False
    ) -> Iterator[Connection]:
        self.boundary(f"before:{name}")
        try:
            with turn, self._begin(repeatable) as connection:
                yield connection
                self.boundary(f"commit:{name}")
        except sa.exc.OperationalError as error:
            raise _unreachable(error) from None
        if (carrier := self._carrier) is not None:  # another thread may end it just now
            carrier.tell()
        self.boundary(f"after:{name}")

    @property
    def several_writers(self) -> bool:
        """Whether transactions may go on beside each other: :meth:`beside`."""
        return self.postgres and self._rehearsal is None

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Transactions follow one another: SQLite's log is carried over beside them."""
        if self.file is None or self._carrier is not None or self._rehearsal is not None:
            yield
            return
        self._carrier = Carrier(self.file)
        try:
            yield
        finally:
            carrier, self._carrier = self._carrier, None
            carrier.end()

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
    def _begin(self, repeatable: bool) -> Iterator[Connection]:
        if self._rehearsal is not None:
            with self._rehearsal.begin_nested():
                yield self._rehearsal
            return
        options = {_REPEATABLE: repeatable}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            if self.file is not None:
                self._say_who_carries(connection)
            elif repeatable and self.postgres:
                connection.execute(_NEED_NOT_WAIT)
            yield connection

    def _say_who_carries(self, connection: Connection) -> None:
        """Whether a commit on this connection is to carry a long log over itself."""
        carrier = self._carrier
        carried = carrier is not None and carrier.alive
        if connection.info.get(_CARRIED, False) != carried:
            if carried:
                connection.exec_driver_sql("PRAGMA wal_autocheckpoint=0")
            else:
                connection.exec_driver_sql("PRAGMA wal_autocheckpoint=1000")  # as SQLite has it
            connection.info[_CARRIED] = carried

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def _engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        # A cycle has some 300 different statements, and the rules' are long: with the driver's
        # usual 128, SQLite would read each of them anew.
        arguments = {"timeout": 30, "cached_statements": 1000}
        engine = sa.create_engine(parsed, connect_args=arguments)
        sa.event.listen(engine, "connect", _sqlite_connect)
        sa.event.listen(engine, "begin", _sqlite_begin)
        return engine
    if parsed.get_backend_name() != "postgresql":
        raise ConfigError(
            f"the setting `database` names {parsed.get_backend_name()!r}: SQLite and PostgreSQL "
            "are supported"
        )
    engine = sa.create_engine(parsed, pool_pre_ping=True)
    sa.event.listen(engine, "connect", _postgres_connect)
    return engine


def _postgres_connect(connection: Any, record: object) -> None:
    """Statements of hundreds of expressions over few rows, of which PostgreSQL knows no numbers:
    where it takes them for many, it would compile machine code for seconds to save milliseconds."""
    del record
    with connection.cursor() as cursor:
        cursor.execute("SET jit = off")
    connection.commit()


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
    options = connection.get_execution_options()
    if options.get("brokersync_reads"):
        connection.exec_driver_sql("BEGIN")
        return
    repeatable = options.get(_REPEATABLE, False)
    if connection.info.get(_REPEATABLE, False) != repeatable:
        if repeatable:
            connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
        else:
            connection.exec_driver_sql("PRAGMA synchronous=FULL")
        connection.info[_REPEATABLE] = repeatable
    # IMMEDIATE: a transaction that will write takes its place in the queue at once, so that it
    # cannot fail half-way because another writer came between its read and its write.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _unreachable(error: sa.exc.OperationalError) -> RetryableError:
    return RetryableError(f"the hub's database cannot be used right now: {_cause(error)}")


def _for_an_admin(error: sa.exc.OperationalError) -> bool:
    """Whether waiting cannot help: no such folder or database, no right to it."""
    cause = _cause(error)
    return any(
        words in cause
        for words in (
            "unable to open database file",
            "readonly database",
            "does not exist",
            "password authentication failed",
        )
    )


def _cause(error: sa.exc.DatabaseError) -> str:
    return str(error.orig).splitlines()[0][:200] if error.orig else type(error).__name__


def _alembic(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
