"""What a client does at the cashier: attempts, refunds, disputes, withdrawals.

A payment whose status is final changes only by a new status: failed may become succeeded, and
nothing else. Refunds and dispute steps are rows of their own. Numbers are given later, in the order
in which rows were created; until then a payment is known by a provisional text.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from simulator.story import DAY_MS, HOUR_MS, Event
from simulator.verification import spread

_MINUTE = 60_000
_SECOND = 1000
_METHODS = (("card", "Nuvei"), ("card", "SafeCharge"), ("card", "Checkout"), ("bank", "Trustly"),
            ("skrill", "Skrill"), ("neteller", "Neteller"))  # fmt: skip
_DECLINES = (
    ("insufficient_funds",) * 5 + ("do_not_honor",) * 5 + ("authentication_3ds",) * 4
    + ("card_expired",) * 2 + ("limit_exceeded", "psp_unavailable", "fraud_suspected",
    "card_invalid", "restricted_country_or_bin", "issuer_unavailable")
)  # fmt: skip
_DIGITS = {"JPY": 0, "KWD": 3}
_SCALE = {"JPY": Decimal(150), "KWD": Decimal("0.3")}


@dataclass(slots=True)
class _Deposit:
    ref: str
    opened: int
    ended: int
    outcome: str
    amount: Decimal


class Cashier:
    """One client's payments up to the end of the story; ``events`` in no particular order.

    Args:
        wealth: multiplies what is paid in.
    """

    def __init__(self, rng: Random, key: str, currency: str, end: int, wealth: int = 1) -> None:
        self.rng, self.key, self.currency, self.end = rng, key, currency, end
        self.wealth = wealth
        self.events: list[Event] = []
        self.succeeded: list[_Deposit] = []
        self._count = 0
        self._unit = Decimal(1).scaleb(-_DIGITS.get(currency, 2))

    def deposits(self, at: int, approved_at: int | None, *, appetite: float = 0.55) -> None:
        """Sessions at the cashier, again and again while the client has the appetite."""
        rng = self.rng
        while at < self.end:
            self._session(at, approved_at)
            if rng.random() > appetite:
                return
            at += spread(rng, HOUR_MS, 20 * DAY_MS)

    def afterwards(self) -> None:
        """What happens to deposits that went through: refunds and disputes."""
        for deposit in self.succeeded:
            draw = self.rng.random()
            if draw < 0.05:
                share = Decimal(self.rng.randrange(1, 7)) / 10
                part = self._refund(deposit, deposit.amount * share)
                if self.rng.random() < 0.3:
                    at = deposit.ended + self.rng.randrange(12, 20) * DAY_MS
                    self._dispute(deposit, at, deposit.amount - part)
            elif draw < 0.09:
                self._refund(deposit, deposit.amount)
            elif draw < 0.17:
                at = deposit.ended + self.rng.randrange(2 * DAY_MS, 18 * DAY_MS, _SECOND)
                self._dispute(deposit, at, deposit.amount)

    def withdrawals(self) -> None:
        """Some who are funded take money out, once or a few times."""
        rng = self.rng
        if not self.succeeded or rng.random() < 0.35:
            return
        deposit = rng.choice(self.succeeded)
        at = deposit.ended + spread(rng, 6 * HOUR_MS, 20 * DAY_MS)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            self._withdraw(at, deposit.amount * Decimal(rng.randrange(1, 9)) / 10)
            at += spread(rng, 2 * HOUR_MS, 15 * DAY_MS)  # perhaps before the first is settled

    def _session(self, at: int, approved_at: int | None) -> None:
        """Attempts until one goes through or the client has had enough."""
        rng = self.rng
        method, psp = rng.choice(_METHODS)
        amount = self._amount()
        for _ in range(5):
            verified = approved_at is not None and at >= approved_at
            attempt = self._attempt(at, amount, method, psp, verified or rng.random() < 0.4)
            if attempt.outcome == "succeeded" or rng.random() < 0.4:
                return
            if attempt.outcome == "open" or rng.random() < 0.1:
                # A second attempt while the first is still open.
                at = attempt.opened + spread(rng, 20 * _SECOND, 20 * _MINUTE)
            else:
                at = attempt.ended + spread(rng, 20 * _SECOND, 20 * HOUR_MS)
            if rng.random() < 0.5:
                method, psp = rng.choice(_METHODS)
            if rng.random() < 0.04 and attempt.outcome == "failed":
                self._same_second(attempt, method, psp)
                return
            if at > self.end:
                return

    def _attempt(self, at: int, amount: Decimal, method: str, psp: str, allowed: bool) -> _Deposit:
        rng = self.rng
        data = self._data(amount, method, psp)
        deposit = _Deposit(data["payment"], at, at, "open", amount)
        self._add(at, "deposit_attempted", data)
        draw = rng.random()
        if not allowed:
            deposit.ended = at + rng.randrange(1, 90) * _SECOND
            self._end(deposit, data, "failed", decline="kyc_required")
        elif draw < 0.08:
            if rng.random() < 0.5:
                self._add(at + rng.randrange(5, 90) * _SECOND, "deposit_pending", data)
            if rng.random() < 0.5:  # an outcome long after the attempt counts as abandoned
                deposit.ended = at + spread(rng, 45 * _MINUTE, 8 * HOUR_MS)
                self._end(deposit, data, rng.choice(("succeeded", "failed", "cancelled")))
        elif draw < 0.14:
            self._waits_for_us(deposit, data)
        else:
            if rng.random() < 0.5:
                self._add(at + _SECOND * rng.randrange(2, 20), "deposit_pending", data)
            deposit.ended = at + spread(rng, 21 * _SECOND, 20 * _MINUTE)
            self._end(deposit, data, _outcome(rng))
        return deposit

    def _waits_for_us(self, deposit: _Deposit, data: dict[str, Any]) -> None:
        """Manual review or an authorization that waits to be captured: never abandoned."""
        rng = self.rng
        name = rng.choice(("deposit_review", "deposit_review", "deposit_authorized"))
        self._add(deposit.opened + rng.randrange(10, 300) * _SECOND, name, data)
        if rng.random() < 0.85:
            deposit.ended = deposit.opened + spread(rng, 10 * _MINUTE, 20 * HOUR_MS)
            self._end(deposit, data, "succeeded" if rng.random() < 0.7 else "failed")

    def _same_second(self, failed: _Deposit, method: str, psp: str) -> None:
        """Another attempt that ends in the very second in which this one failed."""
        opened = failed.opened + min(5 * _SECOND, failed.ended - failed.opened)
        data = self._data(failed.amount, method, psp)
        twin = _Deposit(data["payment"], opened, failed.ended, "open", failed.amount)
        self._add(opened, "deposit_attempted", data)
        self._end(twin, data, self.rng.choice(("succeeded", "failed")))

    def _end(
        self, deposit: _Deposit, data: dict[str, Any], outcome: str, decline: str = ""
    ) -> None:
        rng = self.rng
        deposit.outcome = outcome
        if outcome == "succeeded":
            self._succeed(deposit, data)
        elif outcome == "cancelled":
            self._add(deposit.ended, "deposit_cancelled", {**data, "decline": "user_cancelled"})
        else:
            reason = decline or rng.choice(_DECLINES)
            self._add(deposit.ended, "deposit_failed", {**data, "decline": reason})
            if not decline and rng.random() < 0.08:
                # The same payment goes through after all (an asynchronous method).
                deposit.ended += spread(rng, 2 * _MINUTE, 6 * HOUR_MS)
                deposit.outcome = outcome = "succeeded"
                self._succeed(deposit, data)

    def _succeed(self, deposit: _Deposit, data: dict[str, Any]) -> None:
        fee = (deposit.amount * Decimal("0.025")).quantize(self._unit)
        self._add(deposit.ended, "deposit_succeeded", {**data, "fee": f"{fee:f}"})
        if deposit.ended <= self.end:
            self.succeeded.append(deposit)

    def _refund(self, deposit: _Deposit, amount: Decimal) -> Decimal:
        amount = max(self._unit, amount.quantize(self._unit))
        at = deposit.ended + spread(self.rng, HOUR_MS, 10 * DAY_MS)
        self._add(at, "refunded", self._movement(deposit, amount))
        return amount

    def _dispute(self, deposit: _Deposit, at: int, amount: Decimal) -> None:
        """Filed, and often won or lost after days; a won one is sometimes filed again."""
        rng = self.rng
        if amount <= 0:
            return
        filing = self._movement(deposit, amount)
        self._add(at, "chargeback_opened", filing)
        if rng.random() < 0.35:
            return
        won = rng.random() < 0.5
        end = at + rng.randrange(DAY_MS, 12 * DAY_MS, _SECOND)
        resolution = {**self._movement(deposit, amount), "filing": filing["id"]}
        self._add(end, "chargeback_won" if won else "chargeback_lost", resolution)
        if won and rng.random() < 0.3:
            self._dispute(deposit, end + rng.randrange(DAY_MS, 5 * DAY_MS, _SECOND), amount)

    def _withdraw(self, at: int, amount: Decimal) -> None:
        rng = self.rng
        method, psp = rng.choice(_METHODS)
        data = self._data(max(self._unit, amount.quantize(self._unit)), method, psp)
        self._add(at, "withdrawal_requested", data)
        draw = rng.random()
        if draw < 0.08:
            return
        at += spread(rng, 5 * _MINUTE, 30 * HOUR_MS)
        if draw < 0.16:
            self._add(at, "withdrawal_rejected", {**data, "decline": "other"})
        elif draw < 0.23:
            self._add(at, "withdrawal_cancelled", data)
        else:
            self._add(at, "withdrawal_approved", data)
            if draw < 0.28:
                return
            at += spread(rng, 10 * _MINUTE, 40 * HOUR_MS)
            if rng.random() < 0.6:
                at = at - at % (6 * HOUR_MS) + 6 * HOUR_MS  # paid in one run, in the same second
            fee = Decimal(self._unit) * rng.choice((0, 50, 150))
            self._add(at, "withdrawal_paid", {**data, "fee": f"{fee.quantize(self._unit):f}"})

    def _amount(self) -> Decimal:
        rng = self.rng
        amount = Decimal(rng.choice((50, 100, 100, 200, 250, 500, 1000, 2500, 6000)))
        amount *= _SCALE.get(self.currency, 1) * self.wealth
        if rng.random() < 0.3:
            amount += self._unit * rng.randrange(1, 100)
        return amount.quantize(self._unit)

    def _ref(self) -> str:
        self._count += 1
        return f"{self.key}:{self._count}"

    def _data(self, amount: Decimal, method: str, psp: str) -> dict[str, Any]:
        return {
            "payment": self._ref(),
            "amount": f"{amount:f}",
            "currency": self.currency,
            "method": method,
            "psp": psp,
        }

    def _movement(self, deposit: _Deposit, amount: Decimal) -> dict[str, Any]:
        money = {"amount": f"{amount:f}", "currency": self.currency}
        return {"payment": deposit.ref, "id": self._ref(), **money}

    def _add(self, at: int, name: str, data: dict[str, Any]) -> None:
        if at <= self.end:
            self.events.append(Event(at, name, dict(data)))


def _outcome(rng: Random) -> str:
    draw = rng.random()
    return "succeeded" if draw < 0.6 else "cancelled" if draw < 0.68 else "failed"
