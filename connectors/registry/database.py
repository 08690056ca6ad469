"""The registry's database: SELECTs around the admin's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from connectors.registry.settings import RegistrySettings
from connectors.sql import Reader, ReadOnlyDatabase
from mapping.errors import ConfigError

# Ids that differ in case only, or sort by a language's rules, must not tie at a page's end.
_BINARY = {"postgresql": "C", "sqlite": "BINARY", "mysql": "utf8mb4_bin", "mariadb": "utf8mb4_bin"}


class Registry(ReadOnlyDatabase):
    """Runs SELECTs over the configured table or query."""

    whose = "the registry's"
    made_by = "url, table, query"
    utc = True

    def __init__(self, settings: RegistrySettings, name: str) -> None:
        super().__init__(settings.url or SecretStr(""), settings.statement_timeout_s, name)
        self._settings = settings
        self._names = settings.names()

    def check_columns(self, reader: Reader) -> None:
        """Compare the columns there are with those that are needed.

        Raises:
            ConfigError: lists the missing ones.
        """
        every: sa.Select[Any] = (
            sa.select(sa.literal_column("*")).select_from(self._clients()).limit(0)
        )
        found = reader.columns(every)
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

    def page(
        self,
        reader: Reader,
        since: object,
        after: Mapping[str, Any] | None,
        limit: int,
    ) -> list[dict[str, Any]]:
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
        return reader.rows(found.limit(limit))

    def undated(self, reader: Reader, limit: int) -> list[dict[str, Any]]:
        """Rows that have no update time."""
        clients = self._clients()
        updated = clients.c[self._names["updated_at"]]
        found = sa.select(*self._selected(clients)).where(updated.is_(None))
        return reader.rows(found.limit(limit))

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
        return sa.collate(text, _BINARY.get(self.dialect, "C"))

    def _blank(self, value: object) -> str:
        return "" if value is None else str(value)


def _behind(keys: list[sa.ColumnElement[str]], last: list[str]) -> sa.ColumnElement[bool]:
    """``keys`` sorts after ``last``, key by key (row values are not known to every engine)."""
    found: sa.ColumnElement[bool] = sa.false()
    for key, value in zip(reversed(keys), reversed(last), strict=True):
        found = sa.or_(key > value, sa.and_(key == value, found))
    return found
