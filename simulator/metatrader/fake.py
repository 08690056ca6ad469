"""A trading server as its SQL export shows it, while the story goes on.

Documented: a trade is a deal in and a deal out, profit on the latter (MetaTrader 4: one row, kept
up to date); deposits and every other booking are deals too, Entry 0, without a symbol; Timestamp
is when the row was written last. Assumed: which action a back office books what with, the comments,
and that an edit writes every copy of a deal.

Events: ``account_opened`` {login, group, currency, leverage}, ``account_deleted`` {login},
``account_moved`` {login, group}, ``traded`` {login, day, group, lots, profit, commission, swap,
side, closed_at}, ``ledger_*`` {login, amount, comment}, ``deal_edited`` {deal, profit, amount,
comment, day, lots}, ``deal_deleted`` {deal}, ``position_opened`` and ``position_closed`` {login,
position, group}. ``deal`` is a key that the event which made the deal carries as ``deal``.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from simulator.metatrader.clock import ServerClock
from simulator.metatrader.mt4 import Mt4Writer
from simulator.metatrader.mt5 import Mt5Writer
from simulator.metatrader.tables import Shape, Tables
from simulator.metatrader.writer import Account, Booking, Trade, Writer
from simulator.story import Client, Event, World

FIRST_LOGIN = 70_000_000
STANDARD = "real\\std"
# Booking -> MetaTrader 5's action, the sign it has where the story tells none, its comment.
BOOKINGS = {
    "deposit": (2, 1, "Deposit"),
    "withdrawal": (2, -1, "Withdrawal"),
    "transfer": (2, 1, "Internal transfer"),
    "wire": (2, 1, "Wire transfer"),
    "rebate": (18, 1, "IB rebate"),
    "credit": (3, 1, "Credit"),
    "charge": (4, -1, "Fee"),
    "correction": (5, 1, "Correction"),
    "bonus": (6, 1, "Bonus"),
    "interest": (12, 1, "Interest"),
    "dividend": (15, 1, "Dividend"),
    "tax": (17, -1, "Tax"),
    "compensation": (19, 1, "SO compensation"),
}
# Accounts whose trades and money are nobody's: (login, group, currency).
OTHERS = (
    (900_001, "demo\\forex", "USD"),
    (900_002, "managers\\administrators", "USD"),
    (900_003, "coverage", "USD"),
    (900_004, "preliminary", "USD"),
)


class MetaTrader:
    """Keeps the tables at ``url`` at the world's story.

    Args:
        server_tz: the rule of the server's clock.
        brand: whose clients trade here; blank: all.
        others: with demo, manager and coverage accounts that trade as well.
    """

    def __init__(
        self,
        world: World,
        url: str,
        *,
        server_tz: str = "NY+7",
        shape: Shape | None = None,
        brand: str = "",
        others: bool = True,
    ) -> None:
        self.world, self.url, self.brand = world, url, brand
        self.tables = Tables(shape or Shape())
        self.clock = ServerClock(server_tz)
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        kind = Mt4Writer if self.tables.shape.profile == "mt4" else Mt5Writer
        self.writer: Writer = kind(self.tables, self.clock, self.engine.dialect.name)
        self._others = others
        self._shown_until: int | None = None
        self._later: list[tuple[int, int, Client, Event]] = []
        self._count = 0
        self._first: dict[str, int] = {}
        self._logins: set[int] = set()

    def create(self) -> None:
        """Empty tables, and the accounts that are nobody's."""
        self.tables.metadata.drop_all(self.engine)
        self.tables.metadata.create_all(self.engine)
        at = self.world.start_ms
        with self.engine.begin() as connection:
            self.writer.begin(connection)
            for login, group, currency in OTHERS if self._others else ():
                account = Account(login, group, currency, 100, "", "", 0)
                self.writer.open(account, at, at)
                self.writer.trade(Trade(login, at, at, "fx", "5.00", "111.11"), at, f"{login}")
                self.writer.book(Booking(login, at, 2, "10000.00", "Deposit"), at, f"m{login}")
            self.writer.flush()

    def refresh(self) -> int:
        """Write everything that became visible since the last refresh; how many events."""
        until = self.world.story_ms
        # What happened before the story began is in the tables from the first day.
        since = self._shown_until if self._shown_until is not None else -1
        for client, event in self.world.between(since, until):
            if not self.brand or client.brand == self.brand:
                self._count += 1
                self._later.append((event.visible_at, self._count, client, event))
        due = sorted((one for one in self._later if one[0] <= until), key=lambda one: one[:2])
        self._later = [one for one in self._later if one[0] > until]
        with self.engine.begin() as connection:
            self.writer.begin(connection)
            while due:
                at, _, client, event = due.pop(0)
                closing = self._apply(client, event, at)
                if closing is not None:
                    self._count += 1
                    one = (closing.visible_at, self._count, client, closing)
                    (due if closing.visible_at <= until else self._later).append(one)
                    due.sort(key=lambda one: one[:2])
            self.writer.flush()
        self._shown_until = until
        return self._count

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def login(self, client: Client) -> int:
        """The client's first account."""
        return self._first[client.key]

    def _apply(self, client: Client, event: Event, at: int) -> Event | None:
        name, data = event.name, event.data
        if name == "account_opened":
            self._open(client, int(data["login"]), event, at)
        elif name == "account_deleted":
            self.writer.delete_account(int(data["login"]))
        elif name == "account_moved":
            self.writer.move(int(data["login"]), str(data["group"]), at)
        elif name == "traded":
            return self._trade(client, event, at)
        elif name == "trade_closed":
            self.writer.close(str(data["deal"]), event.at, at)
        elif name.startswith("ledger_"):
            self._book(client, event, at)
        elif name == "deal_edited":
            self.writer.edit(str(data["deal"]), data, at)
        elif name == "deal_deleted":
            self.writer.delete(str(data["deal"]))
        elif name == "position_opened":
            group = str(data.get("group", "fx"))
            self.writer.hold(self._account(client, event, at), group, str(data["position"]), at)
        elif name == "position_closed":
            self.writer.release(str(data["position"]), at)
        return None

    def _trade(self, client: Client, event: Event, at: int) -> Event | None:
        data = event.data
        key = str(data.get("deal", f"event {self._count}"))
        closed_at = int(data.get("closed_at", event.at))
        trade = Trade(
            self._account(client, event, at),
            event.at,
            closed_at if closed_at <= event.at else None,
            str(data.get("group", "fx")),
            str(data.get("lots", "0.10")),
            str(data.get("profit", "0.00")),
            str(data.get("commission", "0.00")),
            str(data.get("swap", "0.00")),
            data.get("side", "buy") == "sell",
            str(data.get("day", "")),
        )
        self.writer.trade(trade, at, key)
        if closed_at <= event.at:
            return None
        return Event(closed_at, "trade_closed", {"deal": key})

    def _book(self, client: Client, event: Event, at: int) -> None:
        data = event.data
        action, sign, comment = BOOKINGS[event.name.removeprefix("ledger_")]
        amount = str(data["amount"])
        if sign < 0 and not amount.startswith("-"):
            amount = f"-{amount}"
        booking = Booking(
            self._account(client, event, at),
            event.at,
            int(data.get("action", action)),
            amount,
            str(data.get("comment", comment)),
            int(data.get("dealer", 0)),
            str(data.get("day", "")),
        )
        self.writer.book(booking, at, str(data.get("deal", f"event {self._count}")))

    def _account(self, client: Client, event: Event, at: int) -> int:
        """The account an event is on; the first use of a client without one opens it."""
        if "login" in event.data:
            return int(event.data["login"])
        if client.key not in self._first:
            login = FIRST_LOGIN + zlib.crc32(client.key.encode()) % 9_999_999
            while login in self._logins:
                login += 1
            self._open(client, login, event, at)
        return self._first[client.key]

    def _open(self, client: Client, login: int, event: Event, at: int) -> None:
        data: Mapping[str, Any] = event.data if event.name == "account_opened" else {}
        currency = str(data.get("currency", self.world.brands[client.brand].base_currency))
        mail = next((e.data["email"] for e in client.events if "email" in e.data), "")
        self._first.setdefault(client.key, login)
        self._logins.add(login)
        account = Account(
            login,
            str(data.get("group", STANDARD)),
            currency,
            int(data.get("leverage", 100)),
            str(data.get("client", client.id)),
            str(mail),
            int(data.get("agent", 0)),
        )
        self.writer.open(account, event.at, at)
