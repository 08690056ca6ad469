"""What a client does on the trading server: accounts, bookings of money, trades, positions.

Most paid deposits are credited within minutes, a few after hours, a few never; a few credits have
no payment. A deposit in a currency of which the client has no account reaches one as a transfer.
Trades keep to market hours and out of the ten minutes around the server's midnight, so nobody can
doubt a deal's day; crypto is traded on the server's Saturday too.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from simulator.people import Plan
from simulator.server_clock import (
    SATURDAY,
    server_day,
    server_ms,
    twice_shown,
    weekday,
    when_open,
)
from simulator.story import DAY_MS, HOUR_MS, Event
from simulator.verification import spread

FIRST_LOGIN = 70_000_000
_MINUTE = 60_000
_SECOND = 1000
_MARGIN = 10 * _MINUTE
_UNITS = {"JPY": Decimal(1), "KWD": Decimal("0.001"), "USC": Decimal(1), "EUC": Decimal(1)}
_SCALE = {"JPY": 150, "USC": 100, "EUC": 100}
_CENTS = {"USD": "USC", "EUR": "EUC"}
_GROUPS = ("fx",) * 6 + ("metals",) * 3 + ("indices", "crypto", "crypto", "shares", "commodities")
_LOTS = ("0.01", "0.05", "0.10", "0.10", "0.50", "1.00", "2.00")


@dataclass(frozen=True, slots=True)
class Account:
    """A trading account; ``currency`` is what it is kept in (USC for a cent account)."""

    login: int
    currency: str
    opened: int

    @property
    def unit(self) -> Decimal:
        """The smallest step of its money."""
        return _UNITS.get(self.currency, Decimal("0.01"))

    def money(self, value: Decimal) -> str:
        """A value in units of a dollar or so, as an amount of this account."""
        return f"{(value * _SCALE.get(self.currency, 1)).quantize(self.unit):f}"


class Trader:
    """One client's trading story up to ``end``; ``events`` in no particular order.

    Args:
        end: nothing happens later: the end of the story, or when the client left.
        base: the brand's base currency.
    """

    def __init__(self, rng: Random, plan: Plan, base: str, end: int) -> None:
        self.rng, self.plan, self.base, self.end = rng, plan, base, end
        self.events: list[Event] = []
        self.accounts: list[Account] = []
        self._positions = 0

    def tell(self, payments: list[Event], approved_at: int | None, story_end: int) -> None:
        """The whole story.

        Args:
            payments: what happened at the cashier, in order.
            story_end: until when money that was under way is still booked.
        """
        rng = self.rng
        attempts = [e.at for e in payments if e.name == "deposit_attempted"]
        reasons = attempts[:1]
        if approved_at is not None and rng.random() < (0.9 if attempts else 0.5):
            reasons.append(approved_at)
        if rng.random() < 0.08:
            self._demo()
        if not reasons:
            return
        self._open_accounts(min(reasons))
        credited = self._credits(payments, story_end)
        if approved_at is not None and not _reversed(self.plan):
            credited += self._wires(approved_at)
        if not self.accounts:
            return
        if not credited and (approved_at is None or rng.random() > 0.06):
            return
        if not credited and approved_at is not None:  # a bonus for nothing, and trades on it
            known = max(approved_at, self.accounts[0].opened)
            credited = [known + spread(rng, 10 * _MINUTE, 3 * DAY_MS)]
            self._book(credited[0], "bonus", self.accounts[0], Decimal(30))
        else:
            credited.sort()
            self._bonuses(credited[0])
        self._oddities(credited[0])
        self._trades(credited[0])

    def _demo(self) -> None:
        """A demo account, whose trades count for nothing."""
        rng = self.rng
        at = self.plan.registered + spread(rng, _MINUTE, DAY_MS)
        account = self._account(8, "USD", at, "demo\\forex")
        for _ in range(rng.randrange(1, 4)):
            at = open_market(rng, at + spread(rng, 5 * _MINUTE, 5 * DAY_MS))
            self._trade(at, account, "fx")

    def _open_accounts(self, reason: int) -> None:
        """The first account before the first deposit or with the approval; sometimes a second."""
        rng, currency = self.rng, self.plan.currency
        at = max(self.plan.registered + _SECOND, reason - rng.randrange(30, 900) * _SECOND)
        group = "real\\std"
        if currency == "KWD" and rng.random() < 0.8:
            currency = "USD"
        elif rng.random() < 0.1:
            currency = self.base
        if currency in _CENTS and rng.random() < 0.04:
            group, currency = "cent\\std", _CENTS[currency]
        if at < self.end:
            self.accounts.append(self._account(0, currency, at, group))
        later = at + spread(rng, HOUR_MS, 20 * DAY_MS)
        if self.accounts and rng.random() < 0.1 and later < self.end:
            self.accounts.append(self._account(1, self.base, later, "real\\ecn"))

    def _account(self, number: int, currency: str, at: int, group: str) -> Account:
        account = Account(FIRST_LOGIN + 10 * self.plan.number + number, currency, at)
        leverage = self.rng.choice((30, 100, 500))
        # A group has one currency, which the server tells of the group alone.
        data = {"group": f"{group}\\{currency}", "currency": currency, "leverage": leverage}
        self._add(at, "account_opened", {"login": account.login, **data})
        return account

    def _credits(self, payments: list[Event], story_end: int) -> list[int]:
        """Bookings of what went through at the cashier; when each deposit was credited."""
        rng, credited = self.rng, []
        paid: set[str] = set()
        for event in payments:
            data = event.data
            if event.name == "withdrawal_paid" and self._for(data["currency"], event.at):
                self._money(_certain(event.at + 5 * _SECOND), "withdrawal", data, story_end)
            if event.name != "deposit_succeeded" or data["payment"] in paid:
                continue
            paid.add(data["payment"])
            draw = rng.random()
            if draw < 0.04:
                continue  # never
            late = draw < 0.09
            lag = spread(rng, 20 * _MINUTE, 10 * HOUR_MS) if late else spread(rng, 5000, 600_000)
            at = _certain(event.at + lag)
            if at <= story_end and self._money(at, "deposit", data, story_end):
                credited.append(at)
        if self.accounts and rng.random() < 0.02:  # a credit nobody paid for
            at = self.accounts[0].opened + spread(rng, HOUR_MS, 30 * DAY_MS)
            self._book(at, "deposit", self.accounts[0], Decimal(rng.choice((50, 100, 300))))
        return credited

    def _money(self, at: int, kind: str, data: Any, until: int) -> bool:
        """Book a payment's amount; as a transfer where no account has its currency."""
        if not self.accounts or at > until:
            return False
        account = self._for(data["currency"], at)
        booking = {"login": self.accounts[0].login, "currency": self.accounts[0].currency}
        if account is None:
            self._add_late(at, "ledger_transfer", {**booking, "amount": self._other(data)})
            return True
        factor = 100 if account.currency in _CENTS.values() else 1
        amount = (Decimal(data["amount"]) * factor).quantize(account.unit)
        booking = {"login": account.login, "currency": account.currency, "amount": f"{amount:f}"}
        if kind == "deposit":
            booking["payment"] = data["payment"]
        self._add_late(at, f"ledger_{kind}", booking)
        return True

    def _other(self, data: Any) -> str:
        """About the same worth in the first account's currency."""
        scale = {"JPY": Decimal(150), "KWD": Decimal("0.3")}
        return self.accounts[0].money(Decimal(data["amount"]) / scale.get(data["currency"], 1))

    def _for(self, currency: str, at: int) -> Account | None:
        """The account in a currency, if there is one by then."""
        for account in self.accounts:
            if account.opened <= at and currency in (account.currency, _real(account.currency)):
                return account
        return None

    def _wires(self, approved_at: int) -> list[int]:
        """Some send a wire, which no PSP knows; some get money back that way."""
        rng = self.rng
        if rng.random() > (0.6 if self.plan.wealth > 1 else 0.03) or not self.accounts:
            return []
        account = self.accounts[0]
        at = max(approved_at, account.opened) + spread(rng, HOUR_MS, 15 * DAY_MS)
        if at >= self.end or account.currency in _CENTS.values():
            return []
        amount = Decimal(rng.randrange(20, 300) * 100)
        self._book(at, "wire", account, amount)
        back = at + spread(rng, 3 * DAY_MS, 20 * DAY_MS)
        if rng.random() < 0.2:
            self._book(back, "wire", account, -amount * rng.randrange(1, 6) / 10)
        return [at]

    def _bonuses(self, credited_at: int) -> None:
        """A quarter get bonuses; a few live on them, a few see one taken back."""
        rng = self.rng
        if rng.random() > 0.25:
            return
        at, amount = credited_at + spread(rng, _MINUTE, 2 * DAY_MS), Decimal(rng.randrange(2, 20))
        count = rng.choice((1, 1, 1, 2, 3, 4))
        for _ in range(count):
            self._book(at, "bonus", self.accounts[0], amount * 5)
            at += spread(rng, 2 * HOUR_MS, 12 * DAY_MS)
        if rng.random() < 0.1:
            self._book(at, "bonus", self.accounts[0], -amount * 5)

    def _oddities(self, at: int) -> None:
        """Bookings that are neither deposits nor trades."""
        rng, account = self.rng, self.accounts[0]
        for kind, share, sign in (
            ("rebate", 0.1, 1), ("correction", 0.05, 1), ("correction", 0.03, -1),
            ("credit", 0.04, 1), ("transfer", 0.05, -1),
        ):  # fmt: skip
            if rng.random() < share:
                later = at + spread(rng, HOUR_MS, 20 * DAY_MS)
                self._book(later, kind, account, sign * Decimal(rng.randrange(100, 9000)) / 100)

    def _book(self, at: int, kind: str, account: Account, value: Decimal) -> None:
        at = _certain(at)
        if at < self.end:
            data = {"login": account.login, "currency": account.currency}
            self._add(at, f"ledger_{kind}", {**data, "amount": account.money(value)})

    def _trades(self, funded_at: int) -> None:
        """Nothing, once, for a while, or to the end."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.26:
            return
        at = open_market(rng, funded_at + spread(rng, 3 * _MINUTE, 4 * DAY_MS))
        favourite = rng.choice(_GROUPS)
        if draw < 0.44:
            self._once(at, favourite)
            return
        stops = at + spread(rng, 2 * DAY_MS, 30 * DAY_MS) if draw < 0.7 else self.end
        if rng.random() < 0.12:
            self._position(at, favourite)
        last = at
        while at < stops:
            last = self._session(at, favourite)
            at = open_market(rng, last + spread(rng, 5 * HOUR_MS, 9 * DAY_MS))
        if stops < self.end and rng.random() < 0.3:
            self._position(open_market(rng, last + spread(rng, _MINUTE, HOUR_MS)), favourite)

    def _once(self, at: int, group: str) -> None:
        """One server day and no other."""
        rng, day = self.rng, server_day(at)
        account = self._trading_account(at)
        for _ in range(rng.choice((1, 1, 2, 3))):
            if server_day(at) != day:
                return
            closed_at = open_market(rng, at + spread(rng, 30 * _SECOND, 2 * HOUR_MS))
            self._trade(at, account, group, closed_at if server_day(closed_at) == day else None)
            at = open_market(rng, at + spread(rng, 2 * _MINUTE, HOUR_MS))

    def _session(self, at: int, favourite: str) -> int:
        """Some trades in a row; when the last one began."""
        rng = self.rng
        account, last = self._trading_account(at), at
        for _ in range(rng.choice((1, 1, 2, 2, 3, 5))):
            group = favourite if rng.random() < 0.8 else rng.choice(_GROUPS)
            draw = rng.random()
            closed_at = None
            if draw < 0.6:
                longest = 8 * HOUR_MS if draw < 0.5 else 6 * DAY_MS
                closed_at = open_market(rng, at + spread(rng, 30 * _SECOND, longest))
            self._trade(at, account, group, closed_at)
            last, at = at, open_market(rng, at + spread(rng, 2 * _MINUTE, 3 * HOUR_MS))
        if favourite == "crypto" and rng.random() < 0.3:
            last += (SATURDAY - weekday(server_day(last))) * DAY_MS
            self._trade(last, account, "crypto")
        return last

    def _position(self, at: int, group: str) -> None:
        """A trade, and a position that stays open for weeks or to the end."""
        rng, account = self.rng, self._trading_account(at)
        if at >= self.end:
            return
        self._positions += 1
        position = {"login": account.login, "position": f"{account.login}-{self._positions}"}
        self._trade(at, account, group)
        self._add(at, "position_opened", position)
        if rng.random() < 0.4:
            closed_at = open_market(rng, at + rng.randrange(5 * DAY_MS, 40 * DAY_MS, _SECOND))
            self._trade(closed_at, account, group)
            self._add(closed_at, "position_closed", position)

    def _trading_account(self, at: int) -> Account:
        known = [a for a in self.accounts if a.opened < at]
        return self.rng.choice(known) if known else self.accounts[0]

    def _trade(self, at: int, account: Account, group: str, closed_at: int | None = None) -> None:
        rng = self.rng
        lots = rng.choice(_LOTS)
        commission = -max(Decimal("0.07"), Decimal(lots) * 7)
        # Only what is kept in the brand's base is charged a swap.
        swap = Decimal(rng.randrange(-400, 60)) / 100 if account.currency == self.base else 0
        data: dict[str, Any] = {
            "login": account.login,
            "group": group,
            "lots": lots,
            "profit": account.money(Decimal(rng.randrange(-9000, 8000)) / 100),
            "commission": account.money(commission),
            "swap": account.money(Decimal(swap if closed_at else 0)),
        }
        if closed_at is not None:
            data["closed_at"] = closed_at
        self._add(at, "traded", data)

    def _add(self, at: int, name: str, data: dict[str, Any]) -> None:
        if at < self.end:
            self.events.append(Event(at, name, data))

    def _add_late(self, at: int, name: str, data: dict[str, Any]) -> None:
        """Also after the client left: money that was under way."""
        self.events.append(Event(at, name, data))


def _real(currency: str) -> str:
    return {cent: whole for whole, cent in _CENTS.items()}.get(currency, currency)


def _reversed(plan: Plan) -> bool:
    """Whether the client is finally rejected after an approval."""
    return plan.leaves is not None and plan.leaves[1] == "finally rejected"


def open_market(rng: Random, at: int) -> int:
    """The instant, or the next at which the market is open and the server's day is certain."""
    while True:
        opens = when_open(at)
        if opens > at:
            at = opens + _MARGIN + rng.randrange(0, 6 * HOUR_MS, _SECOND)
        clock = server_ms(at) % DAY_MS
        if _MARGIN <= clock <= DAY_MS - _MARGIN:
            return at
        at += _MARGIN - clock if clock < _MARGIN else DAY_MS - clock + _MARGIN


def _certain(at: int) -> int:
    """The instant, or the next that the server's clock shows only once."""
    while twice_shown(at):
        at += HOUR_MS
    return at
