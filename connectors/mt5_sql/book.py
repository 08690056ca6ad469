"""What a pull asks of an export, whichever MetaTrader wrote it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, TypeVar

import sqlalchemy as sa

from connectors.mt5_sql.aggregate import CHUNK, Adder, Pair
from connectors.mt5_sql.layout import Aliased, Layout
from connectors.mt5_sql.server_time import ServerTime
from connectors.mt5_sql.settings import Mt5SqlSettings
from connectors.sql import Reader
from mapping.errors import ConfigError

CHANGE = ("deal", "stamp", "login", "action", "time", "amount", "comment", "dealer", "reason")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a table ordered by time of change: the export's Timestamp, then the id."""

    stamp: int
    deal: int


def chunks(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """``items`` in pieces that one statement can name."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


class Book(ABC):
    """One export, open for reading. ``deal`` is a deal of MetaTrader 5, an order of 4."""

    email_limit: ClassVar[int]

    def __init__(
        self, reader: Reader, layout: Layout, settings: Mt5SqlSettings, clock: ServerTime, name: str
    ) -> None:
        self.reader, self.layout, self.settings = reader, layout, settings
        self.clock, self.name = clock, name

    @abstractmethod
    def newest(self) -> Mark:
        """The highest Timestamp and the highest deal there are."""

    @abstractmethod
    def by_stamp(self) -> bool:
        """Whether changes can be listed by Timestamp: it has an index."""

    @abstractmethod
    def changes(self, mark: Mark, limit: int) -> list[dict[str, Any]]:
        """Rows behind a mark, by Timestamp and deal; columns :data:`CHANGE`."""

    @abstractmethod
    def tail(self, since: Mark, after: int, limit: int) -> list[dict[str, Any]]:
        """Rows with a deal above ``after`` that are new or changed since a mark, by deal."""

    @abstractmethod
    def tail_start(self, deal: int) -> int:
        """The deal that lies ``tail_deals`` deals before ``deal``."""

    @abstractmethod
    def touched(self, row: dict[str, Any]) -> list[str]:
        """The server days whose trades a changed row may have changed."""

    @abstractmethod
    def is_booking(self, row: dict[str, Any]) -> bool:
        """Whether a changed row is one of the ledger."""

    @abstractmethod
    def stamp_ms(self, stamp: int) -> int:
        """A Timestamp as milliseconds UTC."""

    @abstractmethod
    def stamp(self, ms: int) -> int:
        """Milliseconds UTC as a Timestamp."""

    @abstractmethod
    def begin(self) -> date | None:
        """Prepare for reading all days, oldest first; the oldest one (None: there is none)."""

    @abstractmethod
    def end(self) -> None:
        """All days were read."""

    @abstractmethod
    def pairs(self, first: date, last: date, after: Pair, limit: int) -> list[Pair]:
        """(day, login) with trades, behind ``after``, in order."""

    @abstractmethod
    def adder(self) -> Adder:
        """Adds up the trades of days; days without trades are left out."""

    @abstractmethod
    def ahead(self, day: date, limit: int) -> list[dict[str, Any]]:
        """Trades dated on a server day or later; columns :data:`CHANGE`."""

    @abstractmethod
    def bookings(self, first: int, limit: int) -> list[dict[str, Any]]:
        """Rows of the ledger from a deal on, by deal; columns :data:`CHANGE`."""

    @abstractmethod
    def booked_since(self, day: date) -> int:
        """The lowest deal of a server day or later; above all deals where there is none."""

    @abstractmethod
    def check(self) -> None:
        """Prove that what the settings name is there.

        Raises:
            ConfigError: it is not.
        """

    @abstractmethod
    def accounts(self, mark: Mark, limit: int) -> list[dict[str, Any]]:
        """Accounts changed behind a mark (its ``deal`` is a login), by Timestamp and login."""

    @abstractmethod
    def currencies(self) -> dict[str, str]:
        """The currency of groups, where the export tells it by group."""

    @abstractmethod
    def departed(self, logins: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Group and currency of deleted accounts, where daily reports still tell them."""

    @abstractmethod
    def paths(self, symbols: Sequence[str]) -> dict[str, str]:
        """The paths of symbols, where the export has them."""

    @abstractmethod
    def balances(self, after: int, limit: int) -> list[dict[str, Any]]:
        """Balances by login, behind a login, with the number of open positions."""

    def reads(self, condition: str) -> bool:
        """Whether a ledger rule has this condition."""
        return any(
            getattr(rule, condition) not in (None, "") for rule in self.settings.ledger_rules
        )

    def column_exists(self) -> None:
        """The client column is there.

        Raises:
            ConfigError: it is not.
        """
        column = self.settings.client_column
        if column and not self.layout.users.has(column):
            raise ConfigError(
                f"{self.name}: setting client_column: {self.layout.users.name} has no column"
                f" {column!r}"
            )

    def email(self, users: Aliased) -> sa.ColumnElement[Any]:
        """The e-mail column, where accounts may be linked by it."""
        return users.get("Email") if self.settings.link_by_email else sa.null()

    def groups(self) -> list[str]:
        """The groups that accounts are in."""
        u = self.layout.users.alias("u")
        rows = self.reader.rows(sa.select(u["Group"].label("group")).distinct())
        return sorted(str(row["group"] or "") for row in rows)

    def owners(self, logins: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Group and the server's currency code of accounts; blank where a setting must tell."""
        groups = self.currencies()
        made: dict[int, tuple[str, str]] = {}
        u = self.layout.users.alias("u")
        for some in chunks(logins):
            query = sa.select(
                u["Login"].label("login"),
                u["Group"].label("group"),
                u.get("Currency").label("currency"),
            ).where(u["Login"].in_(some))
            for row in self.reader.rows(query):
                group = str(row["group"] or "")
                currency = str(row["currency"] or groups.get(group, ""))
                made[int(row["login"])] = (group, currency)
        gone = [login for login in logins if login not in made]
        return made | (self.departed(gone) if gone else {})

    def with_positions(
        self,
        rows: list[dict[str, Any]],
        positions: Aliased | None,
        login: sa.ColumnElement[Any] | None,
        *where: sa.ColumnElement[bool],
    ) -> list[dict[str, Any]]:
        """``rows`` with the number of rows of ``positions`` each login has."""
        count: dict[int, int] = {}
        for some in chunks([row["login"] for row in rows]):
            if positions is None or login is None:
                break
            query = sa.select(login.label("login"), sa.func.count().label("open"))
            query = query.select_from(positions.clause).where(login.in_(some), *where)
            count |= {r["login"]: int(r["open"]) for r in self.reader.rows(query.group_by(login))}
        return [{**row, "positions": count.get(row["login"], 0)} for row in rows]
