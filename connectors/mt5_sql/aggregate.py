"""Trades of whole days of accounts, added up by the export's own database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from connectors.mt5_sql.server_time import Repeat, ServerTime
from connectors.sql import Reader

Pair = tuple[str, int]
"""A server day (ISO) and a login."""

# Logins of one statement, and days between two of a page that still go into one.
CHUNK = 500
GAP_DAYS = 3
# A clock that turned back shows an hour twice; a row exported later than this tells not which.
SURE_MS = 2 * 3_600_000
LEG = ("login", "wall", "stamp", "symbol", "opened", "closed", "volume", "profit", "commission",
       "swap")  # fmt: skip

Which = Callable[[sa.ColumnElement[Any], sa.ColumnElement[Any]], Sequence[sa.ColumnElement[bool]]]
"""Conditions on the columns of time and login that choose the trades of a statement."""
Legs = Callable[[date, date, Which], list[sa.Select[Any]]]
"""The trades of days (first, last) that are chosen: SELECTs of the columns :data:`LEG`.
``volume`` is in 1e-8 lot."""


def midnight(day: date) -> datetime:
    """The first instant of a day on the server's clock."""
    return datetime.combine(day, time())


def day_of(wall: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """The day of a wall-clock column as ISO text, on every engine."""
    return sa.func.substr(sa.cast(wall, sa.String(40)), 1, 10, type_=sa.String())


class Adder:
    """Adds up days.

    Args:
        stamp: writes an instant as the export's Timestamp has it.
    """

    def __init__(
        self, reader: Reader, legs: Legs, clock: ServerTime, stamp: Callable[[int], int]
    ) -> None:
        self._reader, self._legs, self._clock, self._stamp = reader, legs, clock, stamp

    def scattered(self, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
        """The days of ``pairs`` that have trades, each as a whole, in their order."""
        found: list[dict[str, Any]] = []
        for days, logins in _runs(pairs):
            every = sorted({login for day in days for login in logins[day]})
            wanted = {(day.isoformat(), login) for day in days for login in logins[day]}
            run: dict[Pair, dict[str, Any]] = {}
            for start in range(0, len(every), CHUNK):
                some = every[start : start + CHUNK]
                which = _of_logins(some)
                run |= self._add(days[0], days[-1], which, wanted)
            found += [run[pair] for pair in sorted(run)]
        return found

    def between(self, pairs: Sequence[Pair]) -> list[dict[str, Any]]:
        """The same of all pairs there are from the first to the last: in one statement."""
        if not pairs:
            return []
        first, last = pairs[0], pairs[-1]
        start, end = date.fromisoformat(first[0]), date.fromisoformat(last[0])

        def within(
            wall: sa.ColumnElement[Any], login: sa.ColumnElement[Any]
        ) -> Sequence[sa.ColumnElement[bool]]:
            return (
                sa.or_(wall >= midnight(start + timedelta(days=1)), login >= first[1]),
                sa.or_(wall < midnight(end), login <= last[1]),
            )

        found = self._add(start, end, within, set(pairs))
        return [found[pair] for pair in sorted(found)]

    def _add(
        self, first: date, last: date, which: Which, wanted: Set[Pair]
    ) -> dict[Pair, dict[str, Any]]:
        found: dict[Pair, dict[str, Any]] = {}
        again = self._clock.repeats(first, last)
        for row in self._reader.rows(_grouped(self._legs(first, last, which), again, self._stamp)):
            pair = (str(row["day"]), int(row["login"]))
            if pair in wanted:
                _fold(found, pair, row)
        return found


def _of_logins(logins: Sequence[int]) -> Which:
    return lambda _, login: (login.in_(logins),)


def _runs(pairs: Iterable[Pair]) -> Iterator[tuple[list[date], dict[date, list[int]]]]:
    logins: dict[date, list[int]] = {}
    for iso, login in pairs:
        logins.setdefault(date.fromisoformat(iso), []).append(login)
    run: list[date] = []
    for day in sorted(logins):
        if run and day - run[-1] > timedelta(days=GAP_DAYS):
            yield run, logins
            run = []
        run.append(day)
    if run:
        yield run, logins


def _grouped(
    legs: Sequence[sa.Select[Any]], repeats: Sequence[Repeat], stamp: Callable[[int], int]
) -> sa.Select[Any]:
    trades = (sa.union_all(*legs) if len(legs) > 1 else legs[0]).subquery("trades")
    c = trades.c
    again: sa.ColumnElement[Any] = sa.literal_column("0")
    for twice in repeats:
        second = sa.and_(
            c.wall >= twice.first,
            c.wall < twice.last,
            c.stamp >= stamp(twice.again_ms),
            c.stamp < stamp(twice.again_ms + SURE_MS),
        )
        again = sa.case((second, 1), else_=again)
    keyed = sa.select(*(c[name] for name in LEG), day_of(c.wall).label("day"),
                      again.label("again")).subquery("keyed")  # fmt: skip
    k = keyed.c
    sums = [
        sa.func.sum(k[name]).label(name)
        for name in ("opened", "closed", "volume", "profit", "commission", "swap")
    ]
    # A sum passes over blanks; a day with a blank amount has none.
    blank = sa.or_(k.profit.is_(None), k.commission.is_(None), k.swap.is_(None))
    sums.append(sa.func.sum(sa.case((blank, 1), else_=0)).label("blank"))
    key = (k.login, k.day, k.symbol, k.again)
    return sa.select(
        *key, sa.func.count().label("deals"), *sums,
        sa.func.min(k.wall).label("first"), sa.func.max(k.wall).label("last"),
    ).group_by(*key)  # fmt: skip


def _fold(found: dict[Pair, dict[str, Any]], pair: Pair, row: dict[str, Any]) -> None:
    """Add a symbol's part (of one reading of the clock) to its day."""
    day = found.setdefault(
        pair,
        {"day": pair[0], "login": pair[1], "opened": 0, "closed": 0, "volume": 0, "profit": 0.0,
         "commission": 0.0, "swap": 0.0, "symbols": {}, "times": []},
    )  # fmt: skip
    for name in ("opened", "closed", "volume"):
        day[name] += int(row[name] or 0)
    for name in ("profit", "commission", "swap"):
        blank = int(row["blank"]) or row[name] is None or day[name] is None
        day[name] = None if blank else day[name] + float(row[name])
    symbol = str(row["symbol"] or "")
    day["symbols"][symbol] = day["symbols"].get(symbol, 0) + int(row["deals"])
    day["times"] += [[row["first"], int(row["again"])], [row["last"], int(row["again"])]]
