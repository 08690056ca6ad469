"""Databases that a source only reads: an engine that cannot write, bounded statements, errors as
ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy import event, exc

from mapping.errors import BrokersyncError, ConfigError, RetryableError

CONNECT_TIMEOUT_S = 15
# What fails until an admin changes something. PostgreSQL tells no SQLSTATE for a refused
# connection, so its English texts are looked for; MySQL and MariaDB have numbers.
_REFUSED_TEXTS = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied",
    "no password supplied",
    "unable to open database file",
    "no such table",
    "no such column",
    "syntax error",
    "file is not a database",
    "readonly database",
)
_REFUSED_NUMBERS = (1044, 1045, 1046, 1049, 1054, 1064, 1142, 1143, 1146, 1698, 1792)


class ReadOnlyDatabase:
    """SELECTs on a vendor's database, each in a transaction of its own.

    Subclasses say for errors whose database it is, and which settings make its SELECTs. Times of
    MySQL and MariaDB's zoned columns are read in UTC where ``utc`` is set.
    """

    whose: ClassVar[str]
    made_by: ClassVar[str]
    utc: ClassVar[bool] = False

    def __init__(self, url: SecretStr, statement_timeout_s: int, name: str) -> None:
        self.name = name
        self._timeout_s = statement_timeout_s
        self._engine = self._made(url.get_secret_value())

    @property
    def dialect(self) -> str:
        """The engine's name: postgresql, mysql, mariadb or sqlite."""
        return self._engine.dialect.name

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def connect(self) -> Iterator[Reader]:
        """A connection whose transactions only read.

        Raises:
            ConfigError, RetryableError: it could not be opened.
        """
        with self.errors():
            connection = self._engine.connect()
        with connection:
            reader = Reader(self, connection)
            if self.dialect == "postgresql":
                connection.execution_options(postgresql_readonly=True)
                milliseconds = str(self._timeout_s * 1000)
                reader.one(
                    sa.select(sa.func.set_config("statement_timeout", milliseconds, sa.false()))
                )
            yield reader

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the driver's errors into ours; their texts may hold values and are left out."""
        try:
            yield
        except exc.DBAPIError as error:
            raise self._error(error) from None
        except exc.SQLAlchemyError as error:
            raise ConfigError(
                f"{self.name}: {self.whose} database cannot be used ({type(error).__name__}):"
                f" check {self.made_by}"
            ) from None

    def _error(self, error: exc.DBAPIError) -> BrokersyncError:
        original = error.orig
        text = str(original).lower()
        arguments = getattr(original, "args", ()) or (0,)
        refused = any(t in text for t in _REFUSED_TEXTS) or arguments[0] in _REFUSED_NUMBERS
        if refused or isinstance(error, exc.ProgrammingError):
            return ConfigError(
                f"{self.name}: {self.whose} database refused the connection or a SELECT"
                f" ({type(original).__name__}): check {self.made_by} and the user's rights"
            )
        return RetryableError(
            f"{self.name}: {self.whose} database did not answer ({type(original).__name__}); it is"
            " away, or a statement ran longer than statement_timeout_s"
        )

    def _made(self, text: str) -> sa.Engine:
        try:
            url = sa.make_url(text)
            dialect = url.get_backend_name()
            options: dict[str, Any] = {"pool_size": 1, "max_overflow": 1, "pool_pre_ping": True}
            if dialect in ("postgresql", "mysql", "mariadb"):
                options["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT_S}
            elif dialect == "sqlite":
                self._need_file(url.database)
                options = {}
            engine = sa.create_engine(url, **options)
        except (exc.ArgumentError, exc.NoSuchModuleError, ModuleNotFoundError) as error:
            raise ConfigError(
                f"{self.name}: the setting url is no SQLAlchemy URL of an installed driver"
                f" ({type(error).__name__}); expected"
                " postgresql+psycopg://user:password@host/database, mysql+pymysql://..., or"
                " sqlite:////path/to/file"
            ) from None
        event.listen(engine, "connect", lambda raw, _: self._read_only(raw))
        return engine

    def _need_file(self, path: str | None) -> None:
        if not path or not (path.startswith("file:") or Path(path).is_file()):
            # SQLite would create an empty file.
            raise ConfigError(f"{self.name}: the SQLite file of the setting url does not exist")

    def _read_only(self, raw: Any) -> None:
        """Prepare a new connection: it only reads, and its statements are bounded."""
        if self.dialect not in ("sqlite", "mysql", "mariadb"):
            return
        with closing(raw.cursor()) as cursor:
            if self.dialect == "sqlite":
                cursor.execute("PRAGMA query_only = ON")
                return
            cursor.execute("SET SESSION TRANSACTION READ ONLY")
            if self.utc:
                cursor.execute("SET time_zone = '+00:00'")
            mariadb = getattr(self._engine.dialect, "is_mariadb", False)
            if mariadb or "MariaDB" in str(getattr(raw, "server_version", "")):
                cursor.execute("SET SESSION max_statement_time = %s", (self._timeout_s,))
            else:
                cursor.execute("SET SESSION max_execution_time = %s", (self._timeout_s * 1000,))


class Reader:
    """One open connection."""

    def __init__(self, database: ReadOnlyDatabase, connection: sa.Connection) -> None:
        self.database, self.connection = database, connection

    def rows(self, query: sa.Executable) -> list[dict[str, Any]]:
        """All rows of a bounded query, by name."""
        with self.database.errors(), self.connection.begin():
            return [dict(row) for row in self.connection.execute(query).mappings()]

    def one(self, query: sa.Executable) -> Any:
        """The first value of a query's one row."""
        with self.database.errors(), self.connection.begin():
            return self.connection.execute(query).scalar()

    def columns(self, query: sa.Executable) -> list[str]:
        """The names of a query's columns."""
        with self.database.errors(), self.connection.begin():
            return list(self.connection.execute(query).keys())

    @contextmanager
    def inspected(self) -> Iterator[sa.Inspector]:
        """What the database says of its tables."""
        with self.database.errors(), self.connection.begin():
            yield sa.inspect(self.connection)
