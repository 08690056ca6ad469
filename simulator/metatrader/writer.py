"""What the two exports have in common: rows collected, written in batches, by key found again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import sqlalchemy as sa

from simulator.metatrader.clock import ZERO, ServerClock
from simulator.metatrader.tables import Tables

# What the story trades -> the symbol, and its path on the server.
SYMBOLS = {
    "fx": ("EURUSD", "Forex\\Majors\\EURUSD"),
    "metals": ("XAUUSD", "Metals\\XAUUSD"),
    "indices": ("US500.cash", "Indices\\US500.cash"),
    "commodities": ("XTIUSD", "Energies\\XTIUSD"),
    "crypto": ("BTCUSD", "Crypto\\BTCUSD"),
    "shares": ("AAPL.US", "Shares\\US\\AAPL.US"),
    "other": ("WIDGET", "Exotic\\WIDGET"),
}


@dataclass(frozen=True, slots=True)
class Account:
    """An account to open; ``client`` is the broker's own client id."""

    login: int
    group: str
    currency: str
    leverage: int
    client: str
    email: str
    agent: int


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade; ``closed_at`` None: still open. ``day`` puts it on another date."""

    login: int
    at: int
    closed_at: int | None
    group: str
    lots: str
    profit: str
    commission: str = "0.00"
    swap: str = "0.00"
    sell: bool = False
    day: str = ""


@dataclass(frozen=True, slots=True)
class Booking:
    """Money booked on an account, by MetaTrader 5's action."""

    login: int
    at: int
    action: int
    amount: str
    comment: str
    dealer: int = 0
    day: str = ""


class Writer(ABC):
    """Writes one export. ``written`` is when the row becomes visible, ms."""

    uncredited: ClassVar[tuple[int, ...]] = (3, 6)
    """Actions that book on the credit, not on the balance."""

    def __init__(self, tables: Tables, clock: ServerClock, dialect: str) -> None:
        self.tables, self.clock = tables, clock
        self.zero = None if dialect == "postgresql" else ZERO
        self.connection: sa.Connection | None = None
        self._waiting: dict[str, list[dict[str, Any]]] = {}
        self._touched: set[int] = set()
        self.numbers: dict[str, list[int]] = {}
        """The deals (orders) of a key of the story."""

    def begin(self, connection: sa.Connection) -> None:
        """Write on this connection from now on."""
        self.connection = connection

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        """Keep a row for the next batch."""
        self._waiting.setdefault(table, []).append(dict(row))

    def touch(self, login: int) -> None:
        """Have an account's balance computed at the end."""
        self._touched.add(login)

    def run(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        """Execute, after everything that waits."""
        self.insert()
        assert self.connection is not None  # noqa: S101 - begin comes first
        return self.connection.execute(statement)

    def insert(self) -> None:
        """Write what waits."""
        assert self.connection is not None  # noqa: S101 - begin comes first
        waiting, self._waiting = self._waiting, {}
        for table, rows in waiting.items():
            self.connection.execute(sa.insert(self.tables[table]), rows)

    def flush(self) -> None:
        """Write what waits, and the balances of accounts that changed."""
        self.insert()
        for login in sorted(self._touched):
            self.settle(login)
        self._touched.clear()

    @abstractmethod
    def open(self, account: Account, at: int, written: int) -> None:
        """Open an account."""

    @abstractmethod
    def move(self, login: int, group: str, written: int) -> None:
        """Put an account into another group."""

    @abstractmethod
    def delete_account(self, login: int) -> None:
        """Delete an account; its deals stay (MetaTrader 5: in the undated table alone)."""

    @abstractmethod
    def trade(self, trade: Trade, written: int, key: str) -> None:
        """A trade, open or closed."""

    @abstractmethod
    def close(self, key: str, at: int, written: int) -> None:
        """Close a trade that is open."""

    @abstractmethod
    def book(self, booking: Booking, written: int, key: str) -> None:
        """A booking."""

    @abstractmethod
    def edit(self, key: str, change: Mapping[str, Any], written: int) -> None:
        """Change what the story made under a key."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete it."""

    @abstractmethod
    def hold(self, login: int, group: str, key: str, written: int) -> None:
        """An open position without its deals."""

    @abstractmethod
    def release(self, key: str, written: int) -> None:
        """That position is gone."""

    @abstractmethod
    def settle(self, login: int) -> None:
        """Compute an account's balance from its rows."""
