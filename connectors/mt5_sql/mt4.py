"""The queries of a MetaTrader 4 report database.

An order is one row for its whole life: it opens on one day and closes, with its profit, on
another; the same row is a booking where its CMD is balance or credit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from connectors.mt5_sql.aggregate import Adder, Pair, Which, day_of, midnight
from connectors.mt5_sql.book import Book, Mark
from connectors.mt5_sql.layout import Aliased
from connectors.mt5_sql.settings import CLIENTS_PREFIX
from mapping.errors import ConfigError

TRADES = (0, 1)
PENDING = (2, 3, 4, 5)
# CMD -> the action that MetaTrader 5 has for it; others get a number no action has.
ACTIONS = {0: 0, 1: 1, 6: 2, 7: 3}
UNKNOWN_FROM = 100
# An open order's close time is 1970-01-01.
CLOSED_AFTER = datetime(1971, 1, 1)  # noqa: DTZ001 - wall-clock columns have no zone
# 1 lot is 100.
TO_FINE = 1_000_000


class Mt4Book(Book):
    """See :class:`Book`."""

    email_limit = 48

    def newest(self) -> Mark:
        t = self._orders("t")
        stamp = self.reader.one(sa.select(sa.func.max(t["TIMESTAMP"])))
        deal = self.reader.one(sa.select(sa.func.max(t["TICKET"])))
        return Mark(int(stamp or 0), int(deal or 0))

    def by_stamp(self) -> bool:
        # An order may close months after it was opened: no tail of tickets would find it.
        return True

    def changes(self, mark: Mark, limit: int) -> list[dict[str, Any]]:
        t = self._orders("t")
        stamp, ticket = t["TIMESTAMP"], t["TICKET"]
        query = self._changed(t).where(
            stamp >= mark.stamp, sa.or_(stamp > mark.stamp, ticket > mark.deal)
        )
        return self._rows(query.order_by(stamp, ticket).limit(limit))

    def tail(self, since: Mark, after: int, limit: int) -> list[dict[str, Any]]:
        raise NotImplementedError("changes are always listed by time")

    def tail_start(self, deal: int) -> int:
        raise NotImplementedError("changes are always listed by time")

    def touched(self, row: dict[str, Any]) -> list[str]:
        if row["action"] not in TRADES:
            return []
        return sorted({str(wall)[:10] for wall in (row["time"], row["closed"]) if wall})

    def is_booking(self, row: dict[str, Any]) -> bool:
        return row["action"] not in TRADES

    def stamp_ms(self, stamp: int) -> int:
        return stamp * 1000

    def stamp(self, ms: int) -> int:
        return ms // 1000

    def begin(self) -> date | None:
        t = self._orders("t")
        valid = t["OPEN_TIME"] >= CLOSED_AFTER
        first = self.reader.one(sa.select(sa.func.min(t["OPEN_TIME"])).where(valid))
        return date.fromisoformat(first[:10]) if first else None

    def end(self) -> None:
        return  # times have an index here: nothing was prepared

    def pairs(self, first: date, last: date, after: Pair, limit: int) -> list[Pair]:
        parts = []
        for column in ("OPEN_TIME", "CLOSE_TIME"):
            t = self._orders(column[0].lower())
            day, login = day_of(t[column]), t["LOGIN"]
            behind = sa.or_(day > after[0], sa.and_(day == after[0], login > after[1]))
            query = sa.select(day.label("day"), login.label("login"))
            parts.append(query.where(behind, *_within(t, column, first, last)))
        both = sa.union(*parts).subquery("pairs")
        query = sa.select(both).order_by(both.c.day, both.c.login).limit(limit)
        return [(str(row["day"]), int(row["login"])) for row in self.reader.rows(query)]

    def adder(self) -> Adder:
        return Adder(self.reader, self._legs, self.clock, self.stamp)

    def ahead(self, day: date, limit: int) -> list[dict[str, Any]]:
        t = self._orders("t")
        later = sa.or_(t["OPEN_TIME"] >= midnight(day), t["CLOSE_TIME"] >= midnight(day))
        query = self._changed(t).where(t["CMD"].in_(TRADES), later)
        return self._rows(query.order_by(t["TICKET"]).limit(limit))

    def bookings(self, first: int, limit: int) -> list[dict[str, Any]]:
        t = self._orders("t")
        booked = (t["TICKET"] >= first, t["CMD"].not_in(TRADES))
        query = self._changed(t).where(*booked)
        return self._rows(query.order_by(t["TICKET"]).limit(limit))

    def booked_since(self, day: date) -> int:
        t = self._orders("t")
        since = t["OPEN_TIME"] >= midnight(day)
        found = self.reader.one(sa.select(sa.func.min(t["TICKET"])).where(since))
        return self.newest().deal + 1 if found is None else int(found)

    def check(self) -> None:
        if self.settings.client_column.startswith(CLIENTS_PREFIX):
            raise ConfigError(
                f"{self.name}: setting client_column: MetaTrader 4 has no table of clients; name a"
                f" column of {self.layout.users.name}"
            )
        if not (
            self.layout.users.has("CURRENCY")
            or self.settings.currency
            or self.settings.currency_by_group
        ):
            raise ConfigError(
                f"{self.name}: {self.layout.users.name} has no column CURRENCY: set currency or"
                " currency_by_group"
            )
        self.column_exists()

    def accounts(self, mark: Mark, limit: int) -> list[dict[str, Any]]:
        u = self.layout.users.alias("u")
        stamp, column = u["TIMESTAMP"], self.settings.client_column
        query = sa.select(
            u["LOGIN"].label("login"), stamp.label("stamp"), u["GROUP"].label("group"),
            u.get("REGDATE").label("registered"), u.get("LEVERAGE", 0).label("leverage"),
            u.get("ENABLE", 1).label("enabled"), u.get("AGENT_ACCOUNT", 0).label("agent"),
            u.get("CURRENCY").label("currency"),
            (u[column] if column else sa.null()).label("client"), self.email(u).label("email"),
        )  # fmt: skip
        query = query.where(stamp >= mark.stamp, sa.or_(stamp > mark.stamp, u["LOGIN"] > mark.deal))
        return self.reader.rows(query.order_by(stamp, u["LOGIN"]).limit(limit))

    def currencies(self) -> dict[str, str]:
        return {}  # the account's row has it

    def departed(self, logins: Sequence[int]) -> dict[int, tuple[str, str]]:
        del logins
        return {}

    def paths(self, symbols: Sequence[str]) -> dict[str, str]:
        del symbols
        return {}

    def balances(self, after: int, limit: int) -> list[dict[str, Any]]:
        u = self.layout.users.alias("u")
        if not self.layout.users.has("BALANCE CREDIT"):
            return []
        query = sa.select(
            u["LOGIN"].label("login"), u["BALANCE"].label("balance"), u["CREDIT"].label("credit"),
        ).where(u["LOGIN"] > after).order_by(u["LOGIN"]).limit(limit)  # fmt: skip
        t = self._orders("t")
        still = sa.or_(t["CLOSE_TIME"].is_(None), t["CLOSE_TIME"] < CLOSED_AFTER)
        rows = self.reader.rows(query)
        return self.with_positions(rows, t, t["LOGIN"], t["CMD"].in_(TRADES), still)

    def _orders(self, alias: str) -> Aliased:
        assert self.layout.deals is not None  # noqa: S101 - a layout of MetaTrader 4 has one
        return self.layout.deals.alias(alias)

    def _changed(self, t: Aliased) -> sa.Select[Any]:
        wanted = {
            "deal": t["TICKET"],
            "stamp": t["TIMESTAMP"],
            "login": t["LOGIN"],
            "action": t["CMD"],
            "time": t["OPEN_TIME"],
            "closed": t["CLOSE_TIME"],
            "amount": t["PROFIT"],
            "comment": t.get("COMMENT") if self.reads("comment") else sa.null(),
            "dealer": sa.null(),
            "reason": t.get("REASON") if self.reads("reason") else sa.null(),
        }
        columns = [column.label(name) for name, column in wanted.items()]
        return sa.select(*columns).where(t["CMD"].not_in(PENDING))

    def _rows(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        return [
            {**row, "action": ACTIONS.get(row["action"], UNKNOWN_FROM + row["action"])}
            for row in self.reader.rows(query)
        ]

    def _legs(self, first: date, last: date, which: Which) -> list[sa.Select[Any]]:
        made = []
        for column in ("OPEN_TIME", "CLOSE_TIME"):
            t = self._orders(column[0].lower())
            query = sa.select(*_leg(t, column)).where(*_within(t, column, first, last))
            made.append(query.where(*which(t[column], t["LOGIN"])))
        return made


def _within(t: Aliased, column: str, first: date, last: date) -> list[sa.ColumnElement[bool]]:
    """Trades that opened or closed on these server days."""
    return [
        t["CMD"].in_(TRADES),
        t[column] >= midnight(first),
        t[column] < midnight(last + timedelta(days=1)),
    ]


def _leg(t: Aliased, column: str) -> list[sa.ColumnElement[Any]]:
    """An order's part of the day it opens on (a trade), or closes on (lots and money)."""
    closes = column == "CLOSE_TIME"
    nothing: sa.ColumnElement[Any] = sa.literal_column("0")
    one: sa.ColumnElement[Any] = sa.literal_column("1")
    no_money: sa.ColumnElement[Any] = sa.literal_column("0.0")
    volume = sa.cast(t["VOLUME"], sa.BigInteger) * TO_FINE
    columns = {
        "login": t["LOGIN"],
        "wall": t[column],
        # A closed order's TIMESTAMP says nothing of when it was opened.
        "stamp": t["TIMESTAMP"] if closes else nothing,
        "symbol": t["SYMBOL"],
        "opened": nothing if closes else one,
        "closed": one if closes else nothing,
        "volume": volume if closes else nothing,
        "profit": t["PROFIT"] if closes else no_money,
        "commission": t["COMMISSION"] if closes else no_money,
        "swap": t["SWAPS"] if closes else no_money,
    }
    return [expression.label(name) for name, expression in columns.items()]
