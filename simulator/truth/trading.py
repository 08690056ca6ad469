"""What the trading server tells: accounts, trading days, open positions, bookings (0015)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from simulator.server_clock import server_day
from simulator.story import Event

# Classes of account that count, by the first part of the group's path; and the currencies in
# which cent accounts are kept.
_COUNTED = frozenset({"real", "cent"})
_CENTS = {"USC": "USD", "EUC": "EUR", "GBC": "GBP"}


@dataclass(slots=True)
class Earned:
    """What one account was charged on one server day; ``at`` is the day's last deal."""

    currency: str
    at: int
    amount: Decimal = Decimal(0)


@dataclass(slots=True)
class Trading:
    """Everything traded on the client's real and cent accounts.

    ``currencies`` are those of the accounts; ``closes_at`` is when the next open trade closes by
    the story, which nobody can see before.
    """

    currencies: set[str] = field(default_factory=set)
    days: set[int] = field(default_factory=set)
    first: int | None = None
    last: int | None = None
    open: bool = False
    earned: list[Earned] = field(default_factory=list)
    closes_at: int | None = None


@dataclass(slots=True)
class Booking:
    """One booking on an account that counts; ``amount`` has the booked sign."""

    kind: str
    at: int
    amount: Decimal
    currency: str


class Accounts:
    """The accounts known of one client, by login: their currency, "" for one that does not count.

    A login that was never opened, or none at all, is a real account in the brand's base.
    """

    def __init__(self, events: Iterable[Event], base: str) -> None:
        self._base = base
        self._currency: dict[int, str] = {}
        for event in events:
            if event.name == "account_opened":
                counts = str(event.data["group"]).partition("\\")[0] in _COUNTED
                self._currency[event.data["login"]] = event.data["currency"] if counts else ""

    def currencies(self) -> set[str]:
        """In which the client has an account that counts."""
        return {_CENTS.get(c, c) for c in self._currency.values() if c}

    def currency(self, event: Event) -> str:
        """Of the account an event is on."""
        return self._currency.get(event.data.get("login", 0), self._base)


def traded(events: list[Event], accounts: Accounts, at: int) -> Trading:
    """Trades and positions at an instant."""
    found = Trading(accounts.currencies())
    earned: dict[tuple[int, int], Earned] = {}
    positions: set[tuple[int, str]] = set()
    deals: list[int] = []
    closing: list[int] = []
    for event in events:
        name, data = event.name, event.data
        if name == "account_opened":
            continue
        currency = accounts.currency(event)
        if not currency:
            continue
        login = data.get("login", 0)
        if name == "position_opened":
            positions.add((login, data["position"]))
        elif name == "position_closed":
            positions.discard((login, data["position"]))
        else:
            deals.append(event.at)
            _on_day(earned, login, currency, event.at)
            closed_at = data.get("closed_at", event.at)
            if closed_at > at:
                closing.append(closed_at)
                continue
            deals.append(closed_at)
            day = _on_day(earned, login, currency, closed_at)
            charged = Decimal(data.get("commission", "0")) + Decimal(data.get("swap", "0"))
            day.amount -= charged / 100 if currency in _CENTS else charged
    if deals:
        found.first, found.last = min(deals), max(deals)
        found.days = {day for _, day in earned}
        found.earned = list(earned.values())
    found.open = bool(positions or closing)
    found.closes_at = min(closing, default=None)
    return found


def _on_day(earned: dict[tuple[int, int], Earned], login: int, currency: str, at: int) -> Earned:
    place = (login, server_day(at))
    day = earned.get(place)
    if day is None:
        day = earned[place] = Earned(_CENTS.get(currency, currency), at)
    elif at > day.at:
        day.at = at
    return day


def booked(events: list[Event], accounts: Accounts) -> list[Booking]:
    """The bookings that count, in order of time."""
    found = []
    for event in events:
        currency = accounts.currency(event)
        if not currency:
            continue
        kind, amount = event.name.removeprefix("ledger_"), Decimal(event.data["amount"])
        if currency in _CENTS:
            currency, amount = _CENTS[currency], amount / 100
        if kind == "withdrawal":
            amount = -abs(amount)
        elif kind == "deposit" and amount < 0:
            kind = "withdrawal"  # what tells the two apart is the sign
        found.append(Booking(kind, event.at, amount, currency))
    return found
