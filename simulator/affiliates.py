"""Who sent a client, what they are owed for it, and whom the affiliate system doubts.

Its reports are lists without times, read hourly and reaching back 35 days, so what they show
changes only in the last minutes of an hour, within 30 days of the registration, and the affiliate
only in the last fifth of the story: who begins to read earlier sees the first one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any

from simulator.people import Plan
from simulator.story import DAY_MS, HOUR_MS, Event, Partner
from simulator.verification import spread

PAYOUT_CURRENCY = "USD"
PARTNERS: Mapping[str, Sequence[Partner]] = {
    "alpha": (
        Partner("A-17", "Ångström Media, Ltd.", "cpa"),
        Partner("A-18", "李 Partners", "revshare"),
        Partner("A-21", "O'Neill & Sons", "hybrid"),
        Partner("A-22", "Школа FX", "cpa", "review"),
        Partner("A-30", "Plain Traffic", "none"),
        Partner("204", 'The "Gold" List', "revshare", "review"),
    ),
    "beta": (
        Partner("A-17", "Une autre maison", "revshare"),  # the same id as another of alpha
        Partner("B-2", "Groß & Co", "cpa"),
        Partner("B-3", "Señal Diaria", "hybrid", "review"),
        Partner("B-9", "شركاء", "cpa"),
    ),
}
_UNLISTED = "X-99"
_PLANS = {"cpa": ("cpa",), "revshare": ("revshare",), "hybrid": ("cpa", "revshare"), "none": ()}
_KINDS = ("duplicate_account", "suspicious_pattern", "bonus_abuse", "exposure")
_REACH = 30 * DAY_MS


class Referral:
    """One client's story in the affiliate system; ``events`` in no particular order.

    Args:
        end: nothing happens later.
        turns: from when the affiliate may change.
    """

    def __init__(self, rng: Random, plan: Plan, end: int, turns: int) -> None:
        self.rng, self.plan = rng, plan
        self.end = min(end, plan.registered + _REACH)
        self.turns = turns
        self.events: list[Event] = []

    def tell(self, funded_at: int | None) -> None:
        """The whole story.

        Args:
            funded_at: the first deposit that went through.
        """
        rng, plan = self.rng, self.plan
        partners = PARTNERS[plan.brand]
        partner = rng.choice(partners)
        unlisted = rng.random() < 0.04
        affiliate = _UNLISTED if unlisted else partner.id
        texts = ("campaign", "landing_page", "country", "device")
        self.events.append(
            Event(
                plan.registered,
                "attributed",
                {"affiliate": affiliate, "sub_id": self._sub_id()}
                | {name: plan.data[name] or "" for name in texts},
            )
        )
        moved = self._moved(affiliate)
        plans = () if unlisted else _PLANS[partner.plan]
        last = self.end if moved is None else moved - 2 * DAY_MS
        if funded_at is not None:
            self._payouts(affiliate, plans, funded_at, last)
        elif "revshare" in plans and "cpa" in plans and rng.random() < 0.3:
            self._owed(plan.registered + DAY_MS, affiliate, "cpl", Decimal(10), last)
        if rng.random() < 0.08:
            self._doubt()

    def _sub_id(self) -> str:
        return self.rng.choice(("", "s1", "s2", "банер-7", "x:1", "a b"))

    def _moved(self, affiliate: str) -> int | None:
        """Rarely the report names another affiliate later."""
        rng = self.rng
        others = [p.id for p in PARTNERS[self.plan.brand] if p.id != affiliate]
        other = rng.choice(others)
        at = max(self.plan.registered + 3 * DAY_MS, self.turns) + spread(rng, HOUR_MS, 10 * DAY_MS)
        if rng.random() > 0.12 or at >= self.end - HOUR_MS:
            return None
        self._add(at, "reattributed", {"affiliate": other, "sub_id": self._sub_id()})
        return at

    def _payouts(self, affiliate: str, plans: Sequence[str], funded_at: int, last: int) -> None:
        """So much for the client, or a share again and again; once in a while taken back."""
        rng = self.rng
        at = funded_at + spread(rng, 2 * HOUR_MS, 4 * DAY_MS)
        if "cpa" in plans and rng.random() < 0.8:
            amount = Decimal(rng.choice((200, 350, 600)))
            self._owed(at, affiliate, "cpa", amount, last)
            if rng.random() < 0.08:
                self._owed(at + 3 * DAY_MS, affiliate, "cpa", -amount, last)
        if "revshare" in plans:
            for n in range(1, rng.randrange(2, 6)):
                share = Decimal(rng.randrange(50, 9000)) / 100
                self._owed(at + 5 * n * DAY_MS, affiliate, "revshare", share, last)
        if plans and rng.random() < 0.05:
            self._owed(at + 2 * DAY_MS, affiliate, "other", Decimal("15.50"), last)

    def _owed(self, at: int, affiliate: str, plan: str, amount: Decimal, last: int) -> None:
        if at < last:
            data = {"affiliate": affiliate, "plan": plan, "amount": f"{amount:.2f}"}
            self._add(at, "payout_accrued", {**data, "currency": PAYOUT_CURRENCY})

    def _doubt(self) -> None:
        """The system doubts the client, once; half of the time it is cleared."""
        rng = self.rng
        at = self.plan.registered + spread(rng, 6 * HOUR_MS, 20 * DAY_MS)
        kind = rng.choice(_KINDS)
        self._add(at, "fraud_flagged", {"kind": kind, "reason": f"rule {rng.randrange(1, 40)}"})
        cleared = at + spread(rng, 5 * HOUR_MS, 9 * DAY_MS)
        if rng.random() < 0.5 and at < self.end:
            self._add(cleared, "fraud_cleared", {})

    def _add(self, at: int, name: str, data: dict[str, Any]) -> None:
        """In the minutes 50 to 55 of its hour."""
        at += 50 * 60_000 + self.rng.randrange(0, 300_000, 1000) - at % HOUR_MS
        if at < self.end:
            self.events.append(Event(at, name, data))
