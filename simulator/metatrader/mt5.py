"""Rows of MetaTrader 5's export."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from simulator.metatrader.clock import ServerClock, filetime
from simulator.metatrader.tables import Tables
from simulator.metatrader.writer import SYMBOLS, Account, Booking, Trade, Writer


class Mt5Writer(Writer):
    """See :class:`Writer`."""

    def __init__(self, tables: Tables, clock: ServerClock, dialect: str) -> None:
        super().__init__(tables, clock, dialect)
        self._deals, self._clients = itertools.count(1001), itertools.count(1)
        self._groups: set[str] = set()
        self._symbols: set[str] = set()
        self._open: dict[str, Trade] = {}
        self._positions: dict[str, int] = {}

    def open(self, account: Account, at: int, written: int) -> None:
        number = next(self._clients)
        if "mt5_clients" in self.tables:
            self.add("mt5_clients", {"ClientID": number, "Timestamp": filetime(written),
                                     "ClientExternalID": account.client})  # fmt: skip
        if account.group not in self._groups:
            self._groups.add(account.group)
            told = {"Currency": account.currency} if self.tables.shape.currency else {}
            self.add("mt5_groups", {"Group": account.group, **told})
        self.add(
            "mt5_users",
            {
                "Login": account.login,
                "Timestamp": filetime(written),
                "Group": account.group,
                "Rights": 483,
                "Registration": self.clock.text(at),
                "LastAccess": self.zero,
                "Name": "Ana Private",
                "ClientID": number,
                "Address": "1 Private Street",
                "Phone": "+35799000000",
                "Email": account.email,
                "ID": account.client,
                "Comment": "",
                "PhonePassword": "private-word",
                "Leverage": account.leverage,
                "Agent": account.agent,
                "LastIP": "203.0.113.7",
            },
        )
        self.add(
            "mt5_daily",
            {
                "Datetime": at // 1000,
                "Login": account.login,
                "Timestamp": filetime(written),
                "Group": account.group,
                "Currency": account.currency,
            },
        )
        self.add("mt5_accounts", {"Login": account.login, "Balance": 0, "Credit": 0, "Equity": 0})

    def move(self, login: int, group: str, written: int) -> None:
        users = self.tables["mt5_users"]
        values = {"Group": group, "Timestamp": filetime(written)}
        self.run(sa.update(users).where(users.c.Login == login).values(values))

    def delete_account(self, login: int) -> None:
        names = ("mt5_users", "mt5_accounts", *self._yearly())
        for table in (self.tables[name] for name in names):
            self.run(sa.delete(table).where(table.c.Login == login))

    def trade(self, trade: Trade, written: int, key: str) -> None:
        symbol, path = SYMBOLS[trade.group]
        if symbol not in self._symbols:
            self._symbols.add(symbol)
            number = len(self._symbols)
            self.add("mt5_symbols", {"Symbol_ID": number, "Symbol": symbol, "Path": path})
        opened = next(self._deals)
        self.numbers[key] = [opened]
        time = self.clock.text(trade.at, trade.day)
        self._deal(opened, trade.login, time, written, Action=int(trade.sell), Symbol=symbol,
                   PositionID=opened, lots=trade.lots)  # fmt: skip
        if trade.closed_at is None:
            self._open[key] = trade
            self.hold(trade.login, trade.group, key, written)
        else:
            self._close(key, trade, self.clock.text(trade.closed_at, trade.day), written)

    def close(self, key: str, at: int, written: int) -> None:
        trade = self._open.pop(key)
        self.release(key, written)
        self._close(key, replace(trade, closed_at=at), self.clock.text(at, trade.day), written)

    def _close(self, key: str, trade: Trade, time: str, written: int) -> None:
        number = next(self._deals)
        self.numbers[key].append(number)
        # The deal that closes goes the other way, and carries the profit.
        self._deal(
            number, trade.login, time, written, Action=int(not trade.sell), Entry=1,
            Symbol=SYMBOLS[trade.group][0], PositionID=self.numbers[key][0], lots=trade.lots,
            Profit=float(trade.profit), Commission=float(trade.commission),
            Storage=float(trade.swap),
        )  # fmt: skip

    def book(self, booking: Booking, written: int, key: str) -> None:
        number = next(self._deals)
        self.numbers[key] = [number]
        time = self.clock.text(booking.at, booking.day)
        self._deal(
            number, booking.login, time, written, Action=booking.action,
            Profit=float(booking.amount), Comment=booking.comment, Dealer=booking.dealer,
            Order=0, lots="0",
        )  # fmt: skip

    def edit(self, key: str, change: Mapping[str, Any], written: int) -> None:
        numbers = self.numbers[key]
        deals = self.tables["mt5_deals"]
        for position, number in enumerate(numbers):
            values: dict[str, Any] = {"Timestamp": filetime(written), "ModifyFlags": 1}
            if position == len(numbers) - 1:
                names = {"profit": "Profit", "amount": "Profit", "commission": "Commission"}
                values |= {names[n]: float(change[n]) for n in names if n in change}
            if "comment" in change:
                values["Comment"] = change["comment"]
            if "lots" in change:
                values |= self._volumes(str(change["lots"]), closed=position > 0)
            if "day" in change:
                shown = self.run(sa.select(deals.c.Time).where(deals.c.Deal == number)).scalar_one()
                values["Time"] = f"{change['day']} {str(shown)[11:19]}"
            for table in self._copies():
                self.run(sa.update(table).where(table.c.Deal == number).values(values))
        self.touch(
            self.run(sa.select(deals.c.Login).where(deals.c.Deal == numbers[0])).scalar_one()
        )

    def delete(self, key: str) -> None:
        deals = self.tables["mt5_deals"]
        where = deals.c.Deal.in_(self.numbers[key])
        self.touch(self.run(sa.select(deals.c.Login).where(where).limit(1)).scalar_one())
        for table in self._copies():
            self.run(sa.delete(table).where(table.c.Deal.in_(self.numbers[key])))

    def hold(self, login: int, group: str, key: str, written: int) -> None:
        number = len(self._positions) + 1
        self._positions[key] = number
        self.add("mt5_positions", {"Position_ID": number, "Timestamp": filetime(written),
                                   "Login": login, "Symbol": SYMBOLS[group][0]})  # fmt: skip

    def release(self, key: str, written: int) -> None:
        del written
        table = self.tables["mt5_positions"]
        self.run(sa.delete(table).where(table.c.Position_ID == self._positions[key]))

    def settle(self, login: int) -> None:
        deals, accounts = self.tables["mt5_deals"].c, self.tables["mt5_accounts"]
        total = deals.Profit + deals.Commission + deals.Storage
        credit = sa.case((deals.Action.in_(self.uncredited), total), else_=0.0)
        query = sa.select(sa.func.sum(total), sa.func.sum(credit)).where(deals.Login == login)
        every, credited = (round(float(v or 0), 2) for v in self.run(query).one())
        values = {"Balance": every - credited, "Credit": credited, "Equity": every}
        self.run(sa.update(accounts).where(accounts.c.Login == login).values(values))

    def _deal(self, number: int, login: int, time: str, written: int, **values: Any) -> None:
        lots = values.pop("lots")
        row = {
            "Deal": number, "Timestamp": filetime(written), "Login": login, "Time": time,
            "Dealer": 0, "Order": number, "Action": 2, "Entry": 0, "Reason": 16, "Symbol": "",
            "Price": 1.1, "ContractSize": 100_000, "Profit": 0.0, "Storage": 0.0,
            "Commission": 0.0, "PositionID": 0, "Comment": "", "ExternalID": "", "ModifyFlags": 0,
            **values, **self._volumes(lots, closed=values.get("Entry") == 1),
        }  # fmt: skip
        if self.tables.shape.fee:
            row["Fee"] = -0.5 if values.get("Entry") == 1 else 0.0
        self.add("mt5_deals", row)
        if f"mt5_deals_{time[:4]}" in self.tables:
            self.add(f"mt5_deals_{time[:4]}", row)
        self.touch(login)

    def _volumes(self, lots: str, *, closed: bool) -> dict[str, int]:
        units = {"Volume": int(Decimal(lots) * 10_000)}
        if self.tables.shape.extended:
            units["VolumeExt"] = int(Decimal(lots) * 100_000_000)
        return units | {name.replace("Volume", "VolumeClosed"): value if closed else 0
                        for name, value in units.items()}  # fmt: skip

    def _yearly(self) -> list[str]:
        return [f"mt5_deals_{year}" for year in self.tables.shape.yearly]

    def _copies(self) -> list[sa.Table]:
        return [self.tables[name] for name in ("mt5_deals", *self._yearly())]
