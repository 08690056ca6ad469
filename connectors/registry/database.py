"""The registry's database: a read-only engine, SELECTs around the admin's own, its errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from connectors.registry.settings import RegistrySettings
from mapping.errors import BrokersyncError, ConfigError, RetryableError

CONNECT_TIMEOUT_S = 15
# Ids that differ in case only, or sort by a language's rules, must not tie at a page's end.
_BINARY = {"postgresql": "C", "sqlite": "BINARY", "mysql": "utf8mb4_bin", "mariadb": "utf8mb4_bin"}
# What a connection or statement can fail with that only an admin can change. PostgreSQL tells no
# SQLSTATE for a refused connection, so its English texts are looked for.
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
    "readonly database",
)
_REFUSED_MYSQL = (1044, 1045, 1046, 1049, 1054, 1064, 1142, 1143, 1146, 1698, 1792)


class Registry:
    """Runs SELECTs over the configured table or query."""

    def __init__(self, settings: RegistrySettings, name: str) -> None:
        self.name = name
        self._settings = settings
        self._engine = _engine(settings, name)
        self._names = settings.names()

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def check_columns(self, connection: sa.Connection) -> None:
        """Compare the columns there are with those that are needed.

        Raises:
            ConfigError: lists the missing ones.
        """
        every: sa.Select[Any] = (
            sa.select(sa.literal_column("*")).select_from(self._clients()).limit(0)
        )
        with self.errors(), connection.begin():
            found = list(connection.execute(every).keys())
        have = {name.lower() for name in found}
        missing = [
            theirs if theirs == ours else f"{theirs} (for {ours})"
            for ours, theirs in self._names.items()
            if theirs.lower() not in have
        ]
        if missing:
            raise ConfigError(
                f"{self.name}: the registry lacks the columns {', '.join(missing)}; it has"
                f" {', '.join(found)}. Add them, or map or blank them in the setting columns"
            )

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection whose transactions only read.

        Raises:
            ConfigError, RetryableError: it could not be opened.
        """
        with self.errors():
            connection = self._engine.connect()
        with connection:
            if self._engine.dialect.name == "postgresql":
                connection.execution_options(postgresql_readonly=True)
                milliseconds = str(self._settings.statement_timeout_s * 1000)
                timeout = sa.func.set_config("statement_timeout", milliseconds, sa.false())
                with self.errors(), connection.begin():
                    connection.execute(sa.select(timeout))
            yield connection

    def page(
        self,
        connection: sa.Connection,
        since: object,
        after: Mapping[str, Any] | None,
        limit: int,
    ) -> list[Mapping[str, Any]]:
        """Rows updated at or after ``since`` (None: all), behind the row ``after``, in order.

        Rows without an update time cannot be ordered and are not among them.
        """
        clients = self._clients()
        updated = clients.c[self._names["updated_at"]]
        keys = [
            self._text(clients.c[self._names[k]])
            for k in ("brand", "client_id")
            if k in self._names
        ]
        where: list[sa.ColumnElement[bool]] = [updated.is_not(None)]
        if since is not None:
            where.append(updated >= since)
        if after is not None:
            last = [self._blank(after.get(k)) for k in ("brand", "client_id") if k in self._names]
            where.append(
                sa.or_(
                    updated > after["updated_at"],
                    sa.and_(updated == after["updated_at"], _behind(keys, last)),
                )
            )
        found = sa.select(*self._selected(clients)).where(*where).order_by(updated, *keys)
        return self._rows(connection, found.limit(limit))

    def undated(self, connection: sa.Connection, limit: int) -> list[Mapping[str, Any]]:
        """Rows that have no update time."""
        clients = self._clients()
        updated = clients.c[self._names["updated_at"]]
        found = sa.select(*self._selected(clients)).where(updated.is_(None))
        return self._rows(connection, found.limit(limit))

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the driver's errors into ours; their texts may hold values and are left out."""
        try:
            yield
        except exc.DBAPIError as error:
            raise self._error(error) from None
        except exc.SQLAlchemyError as error:
            raise ConfigError(
                f"{self.name}: the setting url or query cannot be used ({type(error).__name__})"
            ) from None

    def _error(self, error: exc.DBAPIError) -> BrokersyncError:
        original = error.orig
        text = str(original).lower()
        arguments = getattr(original, "args", ()) or (0,)
        refused = any(t in text for t in _REFUSED_TEXTS) or arguments[0] in _REFUSED_MYSQL
        if refused or isinstance(error, exc.ProgrammingError):
            return ConfigError(
                f"{self.name}: the registry's database refused the connection or the SELECT"
                f" ({type(original).__name__}): check url, table, query and the user's rights"
            )
        return RetryableError(
            f"{self.name}: the registry's database did not answer ({type(original).__name__});"
            " it is away, or a statement ran longer than statement_timeout_s"
        )

    def _rows(self, connection: sa.Connection, found: sa.Select[Any]) -> list[Mapping[str, Any]]:
        with self.errors(), connection.begin():
            return [dict(row) for row in connection.execute(found).mappings()]

    def _clients(self) -> sa.FromClause:
        columns: list[sa.ColumnClause[Any]] = [sa.column(theirs) for theirs in self._names.values()]
        query = self._settings.query.strip().rstrip(";")
        if query:
            return sa.text(query).columns(*columns).subquery("clients")
        schema, _, table = self._settings.table.rpartition(".")
        return sa.table(table, *columns, schema=schema or None)

    def _selected(self, clients: sa.FromClause) -> list[sa.ColumnElement[Any]]:
        return [clients.c[theirs].label(ours) for ours, theirs in self._names.items()]

    def _text(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
        text = sa.func.coalesce(sa.cast(column, sa.String), "")
        return sa.collate(text, _BINARY.get(self._engine.dialect.name, "C"))

    def _blank(self, value: object) -> str:
        return "" if value is None else str(value)


def _behind(keys: list[sa.ColumnElement[str]], last: list[str]) -> sa.ColumnElement[bool]:
    """``keys`` sorts after ``last``, key by key (row values are not known to every engine)."""
    found: sa.ColumnElement[bool] = sa.false()
    for key, value in zip(reversed(keys), reversed(last), strict=True):
        found = sa.or_(key > value, sa.and_(key == value, found))
    return found


def _engine(settings: RegistrySettings, name: str) -> sa.Engine:
    try:
        url = sa.make_url(settings.url.get_secret_value())
        dialect = url.get_backend_name()
        options: dict[str, Any] = {"pool_size": 1, "max_overflow": 1, "pool_pre_ping": True}
        if dialect in ("postgresql", "mysql", "mariadb"):
            options["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT_S}
        elif dialect == "sqlite":
            _need_file(url.database, name)
            options = {}
        engine = sa.create_engine(url, **options)
    except (exc.ArgumentError, exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigError(
            f"{name}: the setting url is no SQLAlchemy URL of an installed driver"
            f" ({type(error).__name__}); expected postgresql+psycopg://user:password@host/database,"
            " mysql+pymysql://..., or sqlite:////path/to/file"
        ) from None
    event.listen(engine, "connect", lambda raw, _: _read_only(engine, raw, settings))
    return engine


def _need_file(database: str | None, name: str) -> None:
    if not database or not (database.startswith("file:") or Path(database).is_file()):
        # SQLite would create an empty file.
        raise ConfigError(f"{name}: the SQLite file of the setting url does not exist")


def _read_only(engine: sa.Engine, raw: Any, settings: RegistrySettings) -> None:
    """Prepare a new connection: only reads, times in UTC, statements bounded."""
    dialect = engine.dialect.name
    statements: tuple[str, ...] = ()
    if dialect == "sqlite":
        statements = ("PRAGMA query_only = ON",)
    elif dialect in ("mysql", "mariadb"):
        seconds = settings.statement_timeout_s
        mariadb = getattr(engine.dialect, "is_mariadb", False) or "MariaDB" in str(
            getattr(raw, "server_version", "")
        )
        limit = f"max_statement_time = {seconds}"
        if not mariadb:
            limit = f"max_execution_time = {seconds * 1000}"
        statements = (
            "SET SESSION TRANSACTION READ ONLY",
            "SET time_zone = '+00:00'",
            f"SET SESSION {limit}",
        )
    with raw.cursor() if dialect != "sqlite" else _closing(raw) as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def _closing(raw: Any) -> Iterator[Any]:
    cursor = raw.cursor()
    try:
        yield cursor
    finally:
        cursor.close()
