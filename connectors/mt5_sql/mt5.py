"""The queries of a MetaTrader 5 export.

The undated table of deals and the yearly ones repeat each other: of the copies of one deal the
newest counts, and deals of deleted accounts may be in the undated table alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from connectors.mt5_sql.aggregate import Adder, Pair, Which, day_of, midnight
from connectors.mt5_sql.book import CHANGE, Book, Mark, chunks
from connectors.mt5_sql.layout import Aliased, Found
from connectors.mt5_sql.server_time import of_filetime, to_filetime
from connectors.mt5_sql.settings import CLIENTS_PREFIX
from connectors.mt5_sql.spans import STEP, Spans
from mapping.errors import ConfigError

TRADES = (0, 1)
# Cancelled trades: in the table of deals, and neither trades nor bookings.
CANCELLED = (13, 14)
DAY_MS = 86_400_000
# A row's Timestamp is not before its Time; this much is allowed for clocks and rules that differ.
SLACK_MS = 2 * DAY_MS

Where = Callable[[Aliased], Sequence[sa.ColumnElement[bool]]]


class Mt5Book(Book):
    """See :class:`Book`."""

    email_limit = 64
    _spans: Spans | None = None

    # What changed

    def newest(self) -> Mark:
        stamps, deals = [0], [0]
        for found in self.layout.tables():
            t = found.alias("t")
            stamps.append(self.reader.one(sa.select(sa.func.max(t["Timestamp"]))) or 0)
            deals.append(self.reader.one(sa.select(sa.func.max(t["Deal"]))) or 0)
        return Mark(int(max(stamps)), int(max(deals)))

    def by_stamp(self) -> bool:
        return self.layout.indexed("Timestamp")

    def changes(self, mark: Mark, limit: int) -> list[dict[str, Any]]:
        def behind(t: Aliased) -> Sequence[sa.ColumnElement[bool]]:
            stamp, deal = t["Timestamp"], t["Deal"]
            # The first condition follows from the second, but only it makes engines use the index.
            return (
                stamp >= mark.stamp,
                sa.or_(stamp > mark.stamp, deal > mark.deal),
            )

        return self._merged(behind, ("stamp", "deal"), limit)

    def tail(self, since: Mark, after: int, limit: int) -> list[dict[str, Any]]:
        def behind(t: Aliased) -> Sequence[sa.ColumnElement[bool]]:
            return (t["Deal"] > after, sa.or_(t["Deal"] > since.deal, t["Timestamp"] > since.stamp))

        return self._merged(behind, ("deal",), limit)

    def tail_start(self, deal: int) -> int:
        starts = []
        for found in self.layout.tables():
            t = found.alias("t")
            query = sa.select(t["Deal"]).where(t["Deal"] <= deal).order_by(t["Deal"].desc())
            first = self.reader.one(query.offset(self.settings.tail_deals).limit(1))
            starts.append(int(first or 0))
        # Tables of past years end long before: the tail is that of the one that goes on.
        return max(starts, default=0)

    def touched(self, row: dict[str, Any]) -> list[str]:
        if row["action"] in (*TRADES, *CANCELLED) and row["time"]:
            return [str(row["time"])[:10]]
        return []

    def is_booking(self, row: dict[str, Any]) -> bool:
        return row["action"] not in (*TRADES, *CANCELLED)

    def stamp_ms(self, stamp: int) -> int:
        return of_filetime(stamp)

    def stamp(self, ms: int) -> int:
        return to_filetime(ms)

    # Whole ranges

    def begin(self) -> date | None:
        self._spans = Spans()
        for found in self.layout.tables():
            t = found.alias("t")
            self._spans.add(self.reader, t, t["Action"].in_(TRADES), STEP)
        return self._spans.first

    def end(self) -> None:
        self._spans = None

    def pairs(self, first: date, last: date, after: Pair, limit: int) -> list[Pair]:
        parts = []
        for select, t in self._selects(first, last, lambda t: (t["Action"].in_(TRADES),)):
            day, login = day_of(t["Time"]), t["Login"]
            behind = sa.or_(day > after[0], sa.and_(day == after[0], login > after[1]))
            parts.append(select(day.label("day"), login.label("login")).where(behind))
        both = sa.union(*parts).subquery("pairs")
        query = sa.select(both).order_by(both.c.day, both.c.login).limit(limit)
        return [(str(row["day"]), int(row["login"])) for row in self.reader.rows(query)]

    def adder(self) -> Adder:
        return Adder(self.reader, self._legs, self.clock, to_filetime)

    def ahead(self, day: date, limit: int) -> list[dict[str, Any]]:
        def later(t: Aliased) -> Sequence[sa.ColumnElement[bool]]:
            return (t["Action"].in_(TRADES), t["Time"] >= midnight(day))

        return self._merged(later, ("deal",), limit)

    def bookings(self, first: int, limit: int) -> list[dict[str, Any]]:
        def booked(t: Aliased) -> Sequence[sa.ColumnElement[bool]]:
            return (t["Deal"] >= first, t["Action"].not_in((*TRADES, *CANCELLED)))

        return self._merged(booked, ("deal",), limit)

    def booked_since(self, day: date) -> int:
        found: list[int] = []
        for select, t in self._selects(day, None, lambda _: ()):
            deal = self.reader.one(select(sa.func.min(t["Deal"])))
            found += [] if deal is None else [int(deal)]
        return min(found) if found else self.newest().deal + 1

    def _selects(
        self, first: date, last: date | None, where: Where
    ) -> list[tuple[Callable[..., sa.Select[Any]], Aliased]]:
        """SELECTs of deals of these server days, one for each table that may hold them."""
        years = range(first.year, (last.year if last else 9998) + 1)
        floor = to_filetime(self.clock.utc_ms(midnight(first)) - SLACK_MS)
        made = []
        for found in self.layout.tables(years):
            t, newer = self._newest_copies(found, years)
            conditions = [t["Time"] >= midnight(first), *where(t), *newer]
            if last is not None:
                conditions.append(t["Time"] < midnight(last + timedelta(days=1)))
            if last is not None and self._spans is not None:
                conditions += self._spans.bounds(t, first, last)
            else:
                conditions.append(t["Timestamp"] >= floor)
            made.append((_selecting(conditions), t))
        return made

    def _legs(self, first: date, last: date, which: Which) -> list[sa.Select[Any]]:
        chosen = self._selects(
            first, last, lambda t: (t["Action"].in_(TRADES), *which(t["Time"], t["Login"]))
        )
        return [select(*_leg(t)) for select, t in chosen]

    def _newest_copies(
        self, found: Found, years: range | None = None
    ) -> tuple[Aliased, list[sa.ColumnElement[bool]]]:
        """A table of deals, and that no other table holds a newer copy of the row."""
        t = found.alias("t")
        undated = found is self.layout.deals
        others = [o for o in self.layout.tables(years) if (o is self.layout.deals) is not undated]
        conditions: list[sa.ColumnElement[bool]] = []
        for number, other in enumerate(others):
            o = other.alias(f"o{number}")
            later = o["Timestamp"] >= t["Timestamp"] if undated else o["Timestamp"] > t["Timestamp"]
            same: sa.Select[Any] = sa.select(sa.literal_column("1")).where(
                o["Deal"] == t["Deal"], later
            )
            conditions.append(sa.not_(same.correlate(t.clause).exists()))
        return t, conditions

    def _merged(self, where: Where, order: Sequence[str], limit: int) -> list[dict[str, Any]]:
        """The first rows of all tables: each table's first, merged, each deal once."""
        rows: dict[int, dict[str, Any]] = {}
        for found in self.layout.tables():
            t, newer = self._newest_copies(found)
            columns = {"stamp": t["Timestamp"], "deal": t["Deal"]}
            query = sa.select(*self._change(t)).where(*where(t), *newer)
            query = query.order_by(*(columns[name] for name in order)).limit(limit)
            rows |= {row["deal"]: row for row in self.reader.rows(query)}
        return sorted(rows.values(), key=lambda row: tuple(row[name] for name in order))[:limit]

    def _change(self, t: Aliased) -> list[sa.ColumnElement[Any]]:
        # Texts and numbers that only rules read are selected where a rule does.
        wanted = {
            "deal": t["Deal"],
            "stamp": t["Timestamp"],
            "login": t["Login"],
            "action": t["Action"],
            "time": t["Time"],
            "amount": t["Profit"],
            "comment": t.get("Comment") if self.reads("comment") else sa.null(),
            "dealer": t.get("Dealer") if self.reads("dealer") else sa.null(),
            "reason": t.get("Reason") if self.reads("reason") else sa.null(),
        }
        return [wanted[name].label(name) for name in CHANGE]

    # Accounts

    def check(self) -> None:
        groups = self.layout.more.get("groups")
        if not (groups and groups.has("Currency")) and not (
            self.settings.currency or self.settings.currency_by_group
        ):
            raise ConfigError(
                f"{self.name}: the export tells no currency of accounts (no table mt5_groups with a"
                " column Currency): set currency or currency_by_group"
            )
        self.column_exists()

    def column_exists(self) -> None:
        """See :meth:`check`; the client column is there.

        Raises:
            ConfigError: it is not.
        """
        column = self.settings.client_column
        if column.startswith(CLIENTS_PREFIX):
            plain = column.removeprefix(CLIENTS_PREFIX)
            clients = self.layout.more.get("clients")
            if clients and clients.has(plain) and self.layout.users.has("ClientID"):
                return
            raise ConfigError(
                f"{self.name}: setting client_column: the export has no mt5_clients.{plain} beside"
                " mt5_users.ClientID; older exports lack that table: name a column of mt5_users"
            )
        super().column_exists()

    def accounts(self, mark: Mark, limit: int) -> list[dict[str, Any]]:
        u = self.layout.users.alias("u")
        source: sa.FromClause = u.clause
        stamp = u["Timestamp"]
        column = self.settings.client_column
        if column.startswith(CLIENTS_PREFIX):
            c = self.layout.more["clients"].alias("c")
            source = u.clause.outerjoin(c.clause, c["ClientID"] == u["ClientID"])
            client = c[column.removeprefix(CLIENTS_PREFIX)]
            if c.found.has("Timestamp"):
                # An id that is filled in later changes the client's row alone.
                stamp = sa.case((c["Timestamp"] > stamp, c["Timestamp"]), else_=stamp)
        else:
            client = u[column] if column else sa.null()
        bit = self.settings.rights_enabled
        enabled = u["Rights"].op("&")(bit) if bit and u.found.has("Rights") else sa.literal(1)
        query = sa.select(
            u["Login"].label("login"), stamp.label("stamp"), u["Group"].label("group"),
            u.get("Registration").label("registered"), u.get("Leverage", 0).label("leverage"),
            enabled.label("enabled"), u.get("Agent", 0).label("agent"), client.label("client"),
            self.email(u).label("email"),
        ).select_from(source)  # fmt: skip
        query = query.where(
            stamp >= mark.stamp, sa.or_(stamp > mark.stamp, u["Login"] > mark.deal)
        ).order_by(stamp, u["Login"])
        return self.reader.rows(query.limit(limit))

    def currencies(self) -> dict[str, str]:
        found = self.layout.more.get("groups")
        if found is None or not found.has("Currency"):
            return {}
        t = found.alias("g")
        query = sa.select(t["Group"].label("group"), t["Currency"].label("currency"))
        return {str(r["group"]): str(r["currency"] or "") for r in self.reader.rows(query)}

    def departed(self, logins: Sequence[int]) -> dict[int, tuple[str, str]]:
        daily = self.layout.more.get("daily")
        if daily is None:
            return {}
        made: dict[int, tuple[str, str]] = {}
        for some in chunks(logins):
            t, last = daily.alias("d"), daily.alias("l")
            newest = (
                sa.select(last["Login"].label("login"), sa.func.max(last["Datetime"]).label("at"))
                .where(last["Login"].in_(some))
                .group_by(last["Login"])
                .subquery("newest")
            )
            query = sa.select(
                t["Login"].label("login"),
                t["Group"].label("group"),
                t["Currency"].label("currency"),
            ).join(newest, sa.and_(newest.c.login == t["Login"], newest.c.at == t["Datetime"]))
            for row in self.reader.rows(query):
                made[int(row["login"])] = (str(row["group"]), str(row["currency"] or ""))
        return made

    def paths(self, symbols: Sequence[str]) -> dict[str, str]:
        found = self.layout.more.get("symbols")
        made: dict[str, str] = {}
        for some in chunks(sorted(symbols)):
            if found is None:
                break
            t = found.alias("s")
            query = sa.select(t["Symbol"].label("symbol"), t["Path"].label("path"))
            rows = self.reader.rows(query.where(t["Symbol"].in_(some)))
            made |= {str(r["symbol"]): str(r["path"] or "") for r in rows}
        return made

    def balances(self, after: int, limit: int) -> list[dict[str, Any]]:
        accounts = self.layout.more.get("accounts")
        if accounts is None:
            return []
        a = accounts.alias("a")
        query = sa.select(
            a["Login"].label("login"), a["Balance"].label("balance"), a["Credit"].label("credit"),
        ).where(a["Login"] > after).order_by(a["Login"]).limit(limit)  # fmt: skip
        rows = self.reader.rows(query)
        positions = self.layout.more.get("positions")
        p = positions.alias("p") if positions else None
        return self.with_positions(rows, p, p["Login"] if p else None)


def _selecting(conditions: Sequence[sa.ColumnElement[bool]]) -> Callable[..., sa.Select[Any]]:
    return lambda *columns: sa.select(*columns).where(*conditions)


def _leg(t: Aliased) -> list[sa.ColumnElement[Any]]:
    """One deal's part of its day. A reversal (Entry 2) closes one position and opens another."""
    entry, whole = t["Entry"], _lots(t, "Volume")
    commission = t["Commission"]
    if t.found.has("Fee"):
        commission = commission + sa.func.coalesce(t["Fee"], 0)
    columns = {
        "login": t["Login"],
        "wall": t["Time"],
        "stamp": t["Timestamp"],
        "symbol": t["Symbol"],
        "opened": sa.case((entry.in_((0, 2)), 1), else_=0),
        "closed": sa.case((entry.in_((1, 2, 3)), 1), else_=0),
        "volume": sa.case(
            (entry.in_((1, 3)), whole),
            (entry == 2, _lots(t, "VolumeClosed") if _closes(t) else whole),
            else_=0,
        ),
        "profit": t["Profit"],
        "commission": commission,
        "swap": t["Storage"],
    }
    return [column.label(name) for name, column in columns.items()]


def _closes(t: Aliased) -> bool:
    return t.found.has("VolumeClosed") or t.found.has("VolumeClosedExt")


def _lots(t: Aliased, name: str) -> sa.ColumnElement[Any]:
    """A volume in 1e-8 lot: the fine column where it is filled, else the coarse one."""
    coarse = sa.cast(t.get(name, 0), sa.BigInteger) * 10_000
    if not t.found.has(f"{name}Ext"):
        return coarse
    fine = sa.cast(t[f"{name}Ext"], sa.BigInteger)
    return sa.case((fine > 0, fine), else_=coarse)
