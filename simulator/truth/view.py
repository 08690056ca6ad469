"""The terms of domain §2 and decision 0015, over what is known of one client."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from functools import cached_property

from simulator.story import Brand, World
from simulator.truth.facts import DAY, HOUR, MINUTE, Known, Payment
from simulator.truth.market import market_after
from simulator.truth.money import in_base, summed

HIGH_INTENT_SOURCES = frozenset({"call_request", "referral"})
HIGH_VALUE = Decimal(10_000)
BONUS_WINDOW = 90 * DAY


class View:
    """One client at an instant. What needs a family that is not connected is None."""

    def __init__(self, world: World, brand: Brand, facts: Known, at: int) -> None:
        self.world, self.brand, self.facts, self.at = world, brand, facts, at
        self.deposits = [p for p in facts.payments if not p.withdrawal]
        self.withdrawals = [p for p in facts.payments if p.withdrawal]
        self.paid = [p for p in self.withdrawals if p.status == "paid"]
        self.counted = sorted(
            (p for p in self.deposits if _is_counted(p)), key=lambda p: (p.status_at, p.id)
        )
        self.funded_at = self.counted[0].status_at if self.counted else None
        self.ended = [(*outcome[::-1], p.id) for p in self.deposits if (outcome := p.outcome(at))]
        last = max(self.ended, key=lambda row: (row[0], row[2]), default=None)
        self.last_failed_at = last[0] if last and last[1] == "failed" else None
        self.first_withdrawal = min(self.withdrawals, key=lambda p: (p.opened, p.id), default=None)
        disputes = [f.at for p in self.deposits for f, end in p.disputes() if end is None]
        flags = facts.affiliation.open_flags() if facts.affiliation else []
        self.risk_since = min((*disputes, *(flag.first for flag in flags)), default=None)
        self.flagged_first = bool(flags) and self.risk_since not in disputes
        self.flags = {flag.kind for flag in flags}
        trading = facts.trading
        self.last_activity = max(
            facts.registered,
            self.counted[-1].status_at if self.counted else 0,
            (trading.last or 0) if trading else 0,
        )
        idle = self.passed(self.last_activity + 30 * DAY)
        self.active = None if trading is None else trading.open or not idle
        self.deposited = self._deposited() if self.counted else Decimal(0)
        self.withdrawn = summed(self.base_of(p, p.data["amount"]) for p in self.paid)

    def passed(self, instant: int) -> bool:
        """Whether the instant is now or over."""
        return self.at >= instant

    @property
    def cs1_instants(self) -> list[int]:
        """Registration + 1 day; high intent (source, or an attempt within the hour) + 10 min."""
        registered = self.facts.registered
        instants = [registered + DAY]
        if self.facts.row.get("source_type") in HIGH_INTENT_SOURCES:
            instants.append(registered + 10 * MINUTE)
        first = min((p.opened for p in self.deposits), default=None)
        if first is not None and first - registered <= HOUR:
            instants.append(first + 10 * MINUTE)
        return instants

    @property
    def untraded_since(self) -> tuple[int, int] | None:
        """When the first trade is due and when its window ends, of a funded client without one."""
        trading = self.facts.trading
        if trading is None or trading.days or self.funded_at is None:
            return None
        return market_after(self.funded_at, HOUR), market_after(self.funded_at, 24 * HOUR)

    @property
    def not_back_at(self) -> int | None:
        """When a client with one trading day is missed: a week after the first trade."""
        trading = self.facts.trading
        if trading is None or trading.first is None or len(trading.days) != 1:
            return None
        return trading.first + 7 * DAY

    @cached_property
    def high_value_since(self) -> int | None:
        """The crossing, while the client is of high value (net deposits known, and active)."""
        if not self.active or self.deposited is None or self.withdrawn is None:
            return None
        if self.deposited - self.withdrawn < HIGH_VALUE:
            return None
        steps = [(p.status_at, 0, p.id, self._net(p)) for p in self.counted]
        steps += [(p.status_at, 1, p.id, self._taken(p)) for p in self.paid]
        running, crossed = Decimal(0), None
        for at, _, _, change in sorted(steps, key=lambda step: step[:3]):
            before, running = running, running + (change or 0)
            if before < HIGH_VALUE <= running:
                crossed = at
        return crossed

    @cached_property
    def uncredited_since(self) -> int | None:
        """The earliest paid deposit without its booking, or booking without its deposit."""
        trading, bookings = self.facts.trading, self.facts.bookings
        if trading is None or bookings is None or not (bookings or self.deposits):
            return None
        sides: dict[tuple[str, Decimal], tuple[list[int], list[int]]] = defaultdict(
            lambda: ([], [])
        )
        for payment in self.deposits:
            if payment.status == "succeeded" and not payment.wire:
                place = (payment.currency, Decimal(payment.data["amount"]))
                sides[place][0].append(payment.status_at)
        for booking in bookings:
            if booking.kind == "deposit":
                sides[booking.currency, booking.amount][1].append(booking.at)
        alone: list[int] = []
        for (currency, _), (paid, credited) in sides.items():
            if currency in trading.currencies and len(paid) != len(credited):
                pairs = min(len(paid), len(credited))
                alone += sorted(paid)[pairs:] + sorted(credited)[pairs:]
        return min(alone, default=None)

    @property
    def bonus_heavy_since(self) -> int | None:
        """The latest bonus, while bonuses outweigh what 90 days earned."""
        trading, bookings = self.facts.trading, self.facts.bookings
        if trading is None or not bookings:
            return None
        recent = [b for b in bookings if b.kind == "bonus" and not self._old(b.at)]
        given = [b.at for b in recent if b.amount > 0]
        if len(given) < 2:
            return None
        charged = [self._base(e.amount, e.currency) for e in trading.earned if not self._old(e.at)]
        fees = [self.base_of(p, p.data["fee"]) for p in self.fees() if not self._old(p.status_at)]
        earned, spent = summed(charged), summed(fees)
        if earned is None or spent is None:
            return None
        net = earned - spent
        bonuses = summed(self._base(b.amount, b.currency) for b in recent)
        heavy = bonuses is not None and bonuses * 2 > net
        return max(given) if heavy or net <= 0 else None

    def windows(self) -> list[int]:
        """When something leaves the 90 days that count for the bonuses."""
        trading, bookings = self.facts.trading, self.facts.bookings
        moments = [b.at for b in bookings or () if b.kind == "bonus"]
        if trading is None or len(moments) < 2:
            return []
        moments += [e.at for e in trading.earned]
        moments += [p.status_at for p in self.fees()]
        return [moment + BONUS_WINDOW for moment in moments]

    def fees(self) -> list[Payment]:
        """The payments for which a PSP charged a fee."""
        return [p for p in self.facts.payments if p.data.get("fee")]

    def base_of(self, payment: Payment, amount: str | Decimal) -> Decimal | None:
        """An amount of a payment in the brand's base."""
        return self._base(amount, payment.currency)

    def bonuses(self) -> Decimal | None:
        """Base amount of all bonuses, those taken back subtracted."""
        found = self.facts.bookings or ()
        return summed(self._base(b.amount, b.currency) for b in found if b.kind == "bonus")

    def revenue(self) -> Decimal | None:
        """What the client paid in commission and swap, each account's day at that day's rate."""
        trading = self.facts.trading
        return summed(self._base(e.amount, e.currency) for e in (trading.earned if trading else ()))

    def payouts(self) -> Decimal | None:
        """What partners are owed for the client."""
        owed = self.facts.affiliation.payouts if self.facts.affiliation else {}
        return summed(self._base(amount, currency) for (*_, currency), amount in owed.items())

    def _base(self, amount: str | Decimal, currency: str) -> Decimal | None:
        return in_base(self.world, self.brand.base_currency, amount, currency)

    def _old(self, instant: int) -> bool:
        return self.passed(instant + BONUS_WINDOW)

    def _deposited(self) -> Decimal | None:
        return summed(self._net(p) for p in self.counted)

    def _net(self, payment: Payment) -> Decimal | None:
        """A counted deposit less its refunds and disputes that are not won."""
        net = self.base_of(payment, payment.data["amount"])
        for event in (*payment.refunds, *payment.unwon()):
            back = self.base_of(payment, event.data["amount"])
            net = None if net is None or back is None else net - back
        return net

    def _taken(self, payment: Payment) -> Decimal | None:
        amount = self.base_of(payment, payment.data["amount"])
        return None if amount is None else -amount


def _is_counted(payment: Payment) -> bool:
    if payment.status != "succeeded":
        return False
    if not payment.refunds and not payment.filings:
        return True
    back = [Decimal(e.data["amount"]) for e in (*payment.refunds, *payment.unwon())]
    return sum(back, Decimal(0)) < Decimal(payment.data["amount"])
