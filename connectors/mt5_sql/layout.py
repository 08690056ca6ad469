"""Which tables, columns and indexes an export has: they differ by age, engine and broker.

Names are matched in any case. What a table is, its columns tell, not its name: some back offices
copy MetaTrader 5 into tables of MetaTrader 4's shape and name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from connectors.sql import Reader
from mapping.errors import ConfigError

# Columns without which a table is not what we look for.
SHAPES = {
    "mt5": {
        "deals": "Deal Timestamp Login Action Entry Time Symbol Profit Storage Commission",
        "users": "Login Timestamp Group Leverage Registration",
    },
    "mt4": {
        "deals": "TICKET LOGIN CMD SYMBOL VOLUME OPEN_TIME CLOSE_TIME PROFIT SWAPS COMMISSION",
        "users": "LOGIN GROUP TIMESTAMP LEVERAGE REGDATE",
    },
}
# Tables that may be there; each needs these columns to be of use.
OPTIONAL = {
    "accounts": "Login Balance Credit",
    "positions": "Login",
    "groups": "Group",
    "clients": "ClientID ClientExternalID",
    "symbols": "Symbol Path",
    "daily": "Login Datetime Group Currency",
}
_DAY_MS = 86_400_000
_YEARLY = re.compile(r"(.+)_(\d{4})")
_TIMES = ("time", "registration", "open_time", "close_time", "modify_time", "regdate")


class Wall(sa.TypeDecorator[str]):
    """A wall-clock time as ISO text. A zero date (``0000-00-00``), 1970-01-01 and NULL are None.

    SQLite keeps times as texts, PyMySQL returns zero dates as texts; both are read here.
    """

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        kind = sa.String() if dialect.name == "sqlite" else sa.DateTime()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        if dialect.name != "sqlite" or not isinstance(value, datetime):
            return value
        # The shortest text: it sorts before every longer way to write the same time.
        return value.isoformat(" ").removesuffix(" 00:00:00")

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> str | None:
        del dialect
        text = value.isoformat() if isinstance(value, datetime) else str(value or "")
        if not text or text.startswith(("0000", "1970-01-01")):
            return None
        return text.replace(" ", "T")[:19]


@dataclass(frozen=True)
class Found:
    """A table: its columns by lower-case name, and the columns an index begins with."""

    name: str
    columns: Mapping[str, str]
    indexed: frozenset[str]
    _made: dict[str, Aliased] = field(default_factory=dict, compare=False, repr=False)

    def has(self, names: str) -> bool:
        """Whether all of these (separated by blanks) are there."""
        return all(name in self.columns for name in names.lower().split())

    def alias(self, alias: str) -> Aliased:
        """The table in a query, made once: a pull asks many small questions."""
        if alias not in self._made:
            columns = [
                sa.column(c, Wall() if n in _TIMES else None) for n, c in self.columns.items()
            ]
            self._made[alias] = Aliased(self, sa.table(self.name, *columns).alias(alias))
        return self._made[alias]


class Aliased:
    """A table in a query; columns by the vendor's name."""

    def __init__(self, found: Found, clause: sa.FromClause) -> None:
        self.found, self.clause = found, clause

    def __getitem__(self, name: str) -> sa.ColumnElement[Any]:
        return self.clause.c[self.found.columns[name.lower()]]

    def get(self, name: str, otherwise: Any = None) -> sa.ColumnElement[Any]:
        """The column, or a constant where there is none."""
        if self.found.has(name):
            return self[name]
        return sa.null() if otherwise is None else sa.literal(otherwise)


@dataclass(frozen=True)
class Layout:
    """The tables of one export. ``yearly`` holds deals by year; each may repeat ``deals``."""

    profile: str
    deals: Found | None
    yearly: Mapping[int, Found]
    users: Found
    more: Mapping[str, Found]

    def tables(self, years: range | None = None) -> list[Found]:
        """The tables that hold deals (of these years)."""
        dated = [found for year, found in self.yearly.items() if years is None or year in years]
        return [*([self.deals] if self.deals else []), *dated]

    def indexed(self, column: str) -> bool:
        """Whether every table of deals has an index that begins with the column."""
        return all(column.lower() in found.indexed for found in self.tables())


def inspect(reader: Reader, wanted: str, name: str) -> Layout:
    """Find the tables of a profile (``auto``: of whichever is there).

    Raises:
        ConfigError: none, both, or tables that lack columns.
    """
    with reader.inspected() as inspector:
        names = _names(inspector)
        tables = [
            _found(inspector, n) for n in names if n.lower().startswith(("mt4_", "mt5_"))
        ] or [_found(inspector, n) for n in names]
    fitting = {
        profile: layout
        for profile in SHAPES
        if wanted in ("auto", profile) and (layout := _layout(tables, profile))
    }
    if not fitting:
        shapes = "; ".join(
            f"{profile}: {kind} with {columns}"
            for profile, kinds in SHAPES.items()
            if wanted in ("auto", profile)
            for kind, columns in kinds.items()
        )
        raise ConfigError(
            f"{name}: the database holds no MetaTrader export the user may read (needed: {shapes})."
            " Check the setting url, the user's rights, and the setting profile"
        )
    if len(fitting) > 1:
        raise ConfigError(
            f"{name}: the database holds exports of MetaTrader 5 and 4; set profile to mt5 or mt4"
            " and give each a connection of its own"
        )
    return next(iter(fitting.values()))


class Layouts:
    """The layout of one export, kept from pull to pull: to look at each table takes longer than to
    read what changed. It is looked at anew when the list of tables is another one (a new year's
    table, say), once a day (an index that was added), and after whatever went wrong.

    Args:
        wanted: the profile, or ``auto``.
        name: the connection's.
    """

    def __init__(self, wanted: str, name: str) -> None:
        self._wanted, self._name = wanted, name
        self._known: Layout | None = None
        self._tables: list[str] = []
        self._looked_at = 0

    def of(self, reader: Reader, now: int) -> Layout:
        """The layout at ``now`` (ms).

        Raises:
            ConfigError: see :func:`inspect`.
        """
        with reader.inspected() as inspector:
            tables = _names(inspector)
        known = self._known
        if known is None or tables != self._tables or now - self._looked_at >= _DAY_MS:
            known = inspect(reader, self._wanted, self._name)
            self._known, self._tables, self._looked_at = known, tables, now
        return known

    def forget(self) -> None:
        """Something went wrong: the export may be another one."""
        self._known = None


def _names(inspector: sa.Inspector) -> list[str]:
    return [*inspector.get_table_names(), *inspector.get_view_names()]


def _found(inspector: sa.Inspector, name: str) -> Found:
    columns = {str(c["name"]).lower(): str(c["name"]) for c in inspector.get_columns(name)}
    keys = [list(i["column_names"]) for i in inspector.get_indexes(name)]
    keys.append(list(inspector.get_pk_constraint(name)["constrained_columns"]))
    return Found(name, columns, frozenset(str(key[0]).lower() for key in keys if key))


def _layout(tables: Sequence[Found], profile: str) -> Layout | None:
    shape = SHAPES[profile]
    deals = [t for t in tables if t.has(shape["deals"])]
    users = [t for t in tables if t.has(shape["users"])]
    if not deals or not users:
        return None
    yearly = {}
    undated = []
    for table in deals:
        dated = _YEARLY.fullmatch(table.name) if profile == "mt5" else None
        if dated:
            yearly[int(dated[2])] = table
        else:
            undated.append(table)
    more = {
        role: table
        for role, columns in OPTIONAL.items()
        for table in tables
        if table.has(columns) and table.name.lower().endswith(f"_{role}")
    }
    return Layout(profile, undated[0] if undated else None, dict(sorted(yearly.items())),
                  users[0], more)  # fmt: skip
