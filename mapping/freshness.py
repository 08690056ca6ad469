"""Which sources are late, as cards name them: "payments complete up to 2026-03-06 14:05 EET".

A source becomes late once the moment up to which it is complete lies further back than its
patience, and is current again once that moment is nearer than half of it: one that is read in about
that rhythm does not turn late and current all day. What is named is the moment at which it stopped;
it stands still while the source is late, and so does every text that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PATIENCE_MS = 2 * 3_600_000
"""How old a family of sources may be before its age is worth naming."""
_MOVED_MS = 86_400_000
NAMES = {
    "registry": "client data", "kyc": "verification", "psp": "payments", "trading": "trades",
    "ledger": "account bookings", "affiliate": "attributions", "helpdesk": "tickets",
}  # fmt: skip
"""What a family of sources tells, in words."""


@dataclass(frozen=True, slots=True)
class Late:
    """A family of sources that is late.

    Args:
        until: ms; it is complete up to here.
        since: ms; when this was noticed.
    """

    until: int
    since: int


def late(
    known: Mapping[str, Late],
    horizons: Mapping[str, int],
    now: int,
    patience: Mapping[str, int],
) -> dict[str, Late]:
    """The families that are late now.

    One that lags for good (a daily export, say) is named anew once a day.

    Args:
        known: those that were late before.
        horizons: family -> ms up to which it is complete; 0 if it never was (it is no late one:
            nothing is computed without it).
        patience: family -> ms, where it is not :data:`PATIENCE_MS`.
    """
    found: dict[str, Late] = {}
    for family, until in horizons.items():
        before = known.get(family)
        limit = patience.get(family, PATIENCE_MS)
        if not until or now - until <= (limit // 2 if before else limit):
            continue
        if before is None:
            found[family] = Late(until, now)
        elif until < before.until or until - before.until >= _MOVED_MS:
            found[family] = Late(until, before.since)
        else:
            found[family] = before
    return found
