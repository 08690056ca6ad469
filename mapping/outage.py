"""Outages: which reasons are old because a vendor was away when they began.

A family of sources is away once no pull of one of its sources came to its end for longer than its
patience. That is not the same as late (:mod:`mapping.freshness`): a client table that is exported
once a day is late by noon, and yet nobody is away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mapping.freshness import NAMES
from mapping.local_times import local_times


@dataclass(frozen=True, slots=True)
class Outage:
    """Reasons that families of sources date, and that began in ``[from_at, until_at)``, are old.

    Args:
        from_at: ms; the families were complete up to here when they went away.
        until_at: ms; what began later is fresh. No later than ``ended_at``.
        ended_at: ms; None while it lasts.
    """

    families: frozenset[str]
    from_at: int
    until_at: int
    ended_at: int | None = None

    def why(self, begin_at: int) -> str:
        """Why a reason of it opens no task of its own."""
        at = local_times("UTC").at
        span = f"since {at(self.from_at)}"
        if self.ended_at is not None:
            span = f"{at(self.from_at)} to {at(self.ended_at)}"
        named = family_names(self.families)
        return f"the reason began {at(begin_at)}, in the outage of {named} ({span})"


def old(dated_by: frozenset[str], begin_at: int, outages: Iterable[Outage]) -> Outage | None:
    """The outage that makes a reason old, if one does.

    Args:
        dated_by: the families that say when such a reason begins.
        begin_at: ms.
    """
    for outage in outages:
        if outage.from_at <= begin_at < outage.until_at and not dated_by.isdisjoint(
            outage.families
        ):
            return outage
    return None


def family_names(families: Iterable[str]) -> str:
    """``account bookings and trades``."""
    *most, last = sorted(NAMES.get(f, f) for f in families)
    return f"{', '.join(most)} and {last}" if most else last
