"""What a client asks the helpdesk, and what becomes of the tickets.

The export withholds its last minute, so a step is seen a minute late or later, and never in the
last minutes of an hour: who reads at whole hours misses nothing.
"""

from __future__ import annotations

from random import Random
from typing import Any

from simulator.people import Plan
from simulator.story import DAY_MS, HOUR_MS, Event
from simulator.verification import spread

_MINUTE = 60_000
_PRIORITIES = ("low", "normal", "normal", "normal", "high", "urgent", None)
# What clients write about, by what has happened to them.
_TOPICS = {
    "": ("other", "platform", "platform", "trading", "bonus"),
    "kyc_rejected": ("kyc", "kyc", "kyc"),
    "deposit_failed": ("payment", "payment"),
    "withdrawal_requested": ("withdrawal",) * 4,
}


class Helpdesk:
    """One client's tickets up to ``end``; ``events`` in no particular order."""

    def __init__(self, rng: Random, plan: Plan, end: int) -> None:
        self.rng, self.plan, self.end = rng, plan, end
        self.events: list[Event] = []

    def tell(self, before: list[Event]) -> None:
        """The whole story.

        Args:
            before: what happened at KYC and cashier, which is what tickets are about.
        """
        rng = self.rng
        draw = rng.random()
        if draw > 0.26:
            return
        count = rng.randrange(4, 10) if draw < 0.05 else rng.choice((1, 1, 1, 2, 3))
        troubles = [e for e in before if e.name in _TOPICS]
        at = self.plan.registered + spread(rng, 10 * _MINUTE, 15 * DAY_MS)
        for n in range(1, count + 1):
            topic = ""
            if troubles and rng.random() < 0.7:
                trouble = rng.choice(troubles)
                topic = trouble.name
                at = max(at, trouble.at + spread(rng, 5 * _MINUTE, 20 * HOUR_MS))
            self._ticket(f"{self.plan.brand}-{self.plan.id}-{n}", at, rng.choice(_TOPICS[topic]))
            at += spread(rng, 3 * HOUR_MS, 6 * DAY_MS if count > 3 else 25 * DAY_MS)

    def _ticket(self, ticket: str, at: int, category: str) -> None:
        rng = self.rng
        data = {"category": category, "complaint": rng.random() < 0.08}
        self._add(at, "ticket_opened", {**data, "priority": rng.choice(_PRIORITIES)}, ticket)
        if rng.random() < 0.04:  # it was none
            self._add(at + spread(rng, 5 * _MINUTE, DAY_MS), "ticket_deleted", {}, ticket)
            return
        for _ in range(rng.choice((0, 1, 1, 2))):
            at += spread(rng, 5 * _MINUTE, DAY_MS)
            self._add(at, "ticket_updated", self._state(), ticket)
        while rng.random() < 0.85:
            at += spread(rng, 10 * _MINUTE, 3 * DAY_MS)
            self._add(at, "ticket_solved", {}, ticket)
            if rng.random() > 0.15:
                break
            at += spread(rng, 10 * _MINUTE, 2 * DAY_MS)
            self._add(at, "ticket_reopened", {}, ticket)
        else:
            return
        if rng.random() < 0.8:
            self._add(at + 4 * DAY_MS, "ticket_closed", {}, ticket)

    def _state(self) -> dict[str, Any]:
        status = self.rng.choice((None, "open", "pending", "hold"))
        return {"status": status} if status else {}

    def _add(self, at: int, name: str, data: dict[str, Any], ticket: str) -> None:
        """Within the first 50 minutes of its hour, in the order told."""
        at = at - at % HOUR_MS + (at % HOUR_MS) * 5 // 6 // 1000 * 1000
        if at < self.end:
            self.events.append(Event(at, name, {"ticket": ticket, **data}))
