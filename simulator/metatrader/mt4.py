"""Rows of MetaTrader 4's report database: one row an order, for its whole life."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from simulator.metatrader.clock import EPOCH, ServerClock
from simulator.metatrader.tables import Tables
from simulator.metatrader.writer import SYMBOLS, Account, Booking, Trade, Writer

BALANCE, CREDIT = 6, 7


class Mt4Writer(Writer):
    """See :class:`Writer`."""

    def __init__(self, tables: Tables, clock: ServerClock, dialect: str) -> None:
        super().__init__(tables, clock, dialect)
        self._tickets = itertools.count(1001)
        self._open: dict[str, Trade] = {}

    def open(self, account: Account, at: int, written: int) -> None:
        self.add(
            "mt4_users",
            {
                "LOGIN": account.login,
                "GROUP": account.group[:16],
                "ENABLE": 1,
                "NAME": "Ana Private",
                "ADDRESS": "1 Private Street",
                "PHONE": "+35799000000",
                "EMAIL": account.email[:48],
                "COMMENT": "",
                "ID": account.client,
                "PASSWORD_PHONE": "private-word",
                "REGDATE": self.clock.text(at),
                "LEVERAGE": account.leverage,
                "AGENT_ACCOUNT": account.agent,
                "TIMESTAMP": written // 1000,
                "BALANCE": 0.0,
                "CREDIT": 0.0,
                "EQUITY": 0.0,
                "CURRENCY": account.currency,
                "MODIFY_TIME": self.clock.text(written),
            },
        )

    def move(self, login: int, group: str, written: int) -> None:
        users = self.tables["mt4_users"]
        values = {"GROUP": group, "TIMESTAMP": written // 1000}
        self.run(sa.update(users).where(users.c["LOGIN"] == login).values(values))

    def delete_account(self, login: int) -> None:
        users = self.tables["mt4_users"]
        self.run(sa.delete(users).where(users.c["LOGIN"] == login))

    def trade(self, trade: Trade, written: int, key: str) -> None:
        number = next(self._tickets)
        self.numbers[key] = [number]
        done = trade.closed_at is not None
        row = {
            "CMD": int(trade.sell),
            "SYMBOL": SYMBOLS[trade.group][0],
            "VOLUME": int(Decimal(trade.lots) * 100),
            "OPEN_TIME": self.clock.text(trade.at, trade.day),
            "CLOSE_TIME": self.clock.text(trade.closed_at, trade.day) if trade.closed_at else EPOCH,
        }
        self._order(number, trade.login, written, **row, **_money(trade, done=done))
        if not done:
            self._open[key] = trade

    def close(self, key: str, at: int, written: int) -> None:
        trade = self._open.pop(key)
        closed = {"CLOSE_TIME": self.clock.text(at, trade.day), **_money(trade, done=True)}
        self._update(key, closed, written)

    def book(self, booking: Booking, written: int, key: str) -> None:
        number = next(self._tickets)
        self.numbers[key] = [number]
        time = self.clock.text(booking.at, booking.day)
        command = CREDIT if booking.action in self.uncredited else BALANCE
        self._order(number, booking.login, written, CMD=command, OPEN_TIME=time, CLOSE_TIME=time,
                    PROFIT=float(booking.amount), COMMENT=booking.comment[:32])  # fmt: skip

    def edit(self, key: str, change: Mapping[str, Any], written: int) -> None:
        values: dict[str, Any] = {}
        names = {"profit": "PROFIT", "amount": "PROFIT", "commission": "COMMISSION"}
        values |= {names[n]: float(change[n]) for n in names if n in change}
        if "comment" in change:
            values["COMMENT"] = change["comment"]
        if "lots" in change:
            values["VOLUME"] = int(Decimal(str(change["lots"])) * 100)
        if "day" in change:
            t = self.tables["mt4_trades"].c
            query = sa.select(t.OPEN_TIME, t.CLOSE_TIME).where(t["TICKET"] == self.numbers[key][0])
            for name, shown in self.run(query).mappings().one().items():
                values[name] = f"{change['day']} {str(shown)[11:19]}"
        self._update(key, values, written)

    def delete(self, key: str) -> None:
        trades = self.tables["mt4_trades"]
        self._touch(key)
        self.run(sa.delete(trades).where(trades.c["TICKET"] == self.numbers[key][0]))

    def hold(self, login: int, group: str, key: str, written: int) -> None:
        self.trade(Trade(login, written, None, group, "0.10", "0.00"), written, key)

    def release(self, key: str, written: int) -> None:
        self.close(key, written, written)

    def settle(self, login: int) -> None:
        t, users = self.tables["mt4_trades"].c, self.tables["mt4_users"]
        total = t.PROFIT + t.COMMISSION + t.SWAPS
        credit = sa.case((t.CMD == CREDIT, total), else_=0.0)
        query = sa.select(sa.func.sum(total), sa.func.sum(credit)).where(t["LOGIN"] == login)
        every, credited = (round(float(v or 0), 2) for v in self.run(query).one())
        values = {"BALANCE": every - credited, "CREDIT": credited, "EQUITY": every}
        self.run(sa.update(users).where(users.c["LOGIN"] == login).values(values))

    def _order(self, number: int, login: int, written: int, **values: Any) -> None:
        row = {
            "TICKET": number, "LOGIN": login, "SYMBOL": "", "CMD": BALANCE, "VOLUME": 0,
            "OPEN_PRICE": 1.1, "REASON": 0, "COMMISSION": 0.0, "SWAPS": 0.0, "CLOSE_PRICE": 1.1,
            "PROFIT": 0.0, "TAXES": 0.0, "COMMENT": "", "TIMESTAMP": written // 1000,
            "MODIFY_TIME": self.clock.text(written), **values,
        }  # fmt: skip
        self.add("mt4_trades", row)
        self.touch(login)

    def _update(self, key: str, values: dict[str, Any], written: int) -> None:
        trades = self.tables["mt4_trades"]
        stamps = {"TIMESTAMP": written // 1000, "MODIFY_TIME": self.clock.text(written)}
        where = trades.c["TICKET"] == self.numbers[key][0]
        self.run(sa.update(trades).where(where).values({**values, **stamps}))
        self._touch(key)

    def _touch(self, key: str) -> None:
        t = self.tables["mt4_trades"].c
        query = sa.select(t["LOGIN"]).where(t["TICKET"] == self.numbers[key][0])
        self.touch(self.run(query).scalar_one())


def _money(trade: Trade, *, done: bool) -> dict[str, float]:
    names = {"PROFIT": trade.profit, "COMMISSION": trade.commission, "SWAPS": trade.swap}
    return {name: float(value) if done else 0.0 for name, value in names.items()}
