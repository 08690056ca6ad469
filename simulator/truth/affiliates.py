"""What the affiliate system tells: first touch, payouts, its doubt about the client (0015).

Its reports name the day of a registration and nothing finer, and date no flag: a flag begins, for
who must poll, when it is first seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from simulator.story import DAY_MS, Event

SUSPICIOUS = frozenset({"suspicious_pattern", "bonus_abuse", "exposure"})


@dataclass(slots=True)
class Flag:
    """A risk flag: when it first was open, and its kind while it is open ("" when cleared)."""

    first: int
    kind: str


@dataclass(slots=True)
class Affiliation:
    """``at`` is the day of the first touch (UTC), None without one.

    ``payouts`` is what was accrued so far by (affiliate, plan, currency).
    """

    affiliate: str = ""
    sub_id: str = ""
    at: int | None = None
    conflict: bool = False
    payouts: dict[tuple[str, str, str], Decimal] = field(default_factory=dict)
    disputed: list[int] = field(default_factory=list)
    flags: dict[str, Flag] = field(default_factory=dict)

    def open_flags(self) -> list[Flag]:
        """Those that are open."""
        return [flag for flag in self.flags.values() if flag.kind]


def affiliation(told: list[tuple[str, Event]]) -> Affiliation:
    """From what became visible, in order of time, each with the key of the client it is about."""
    found = Affiliation()
    touches: list[tuple[int, str, str, Event]] = []
    registered: dict[str, int] = {}
    for key, event in told:
        data, name = event.data, event.name
        if name in ("attributed", "reattributed"):
            registered.setdefault(key, event.at)
            place = f"{key}:{data['affiliate']}:{data['sub_id']}"
            touches.append((event.visible_at, place, key, event))
        elif name == "payout_accrued":
            owed = (data["affiliate"], data["plan"], data["currency"])
            found.payouts[owed] = found.payouts.get(owed, Decimal(0)) + Decimal(data["amount"])
        elif name == "payout_disputed":
            found.disputed.append(event.at)
        elif name == "fraud_flagged":
            flag = found.flags.setdefault(key, Flag(event.at, ""))
            flag.kind = str(data["kind"])
        elif key in found.flags:
            found.flags[key].kind = ""
    if touches:
        _, _, key, first = min(touches, key=lambda touch: touch[:2])
        found.affiliate, found.sub_id = first.data["affiliate"], first.data["sub_id"]
        found.at = registered[key] - registered[key] % DAY_MS
        found.conflict = any(touch[3].data["affiliate"] != found.affiliate for touch in touches)
    return found
